# Writes generated/NAME from cmake/NAME.in, where @declarations@ and @calls@ become a line for each of `files`:
# `declaration` and `call`, in which STEM stands for the file's name without ending. A file that doesn't define
# what they name is a link error that names it.
function(previt_generate_source name files declaration call)
  set(declarations "")
  set(calls "")
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(REPLACE STEM ${stem} line "${declaration}")
    string(APPEND declarations "${line}\n")
    string(REPLACE STEM ${stem} line "${call}")
    string(APPEND calls "${line}\n")
  endforeach()
  configure_file(${CMAKE_SOURCE_DIR}/cmake/${name}.in ${CMAKE_BINARY_DIR}/generated/${name} @ONLY)
endfunction()

# Writes generated/NAME, which defines the text that `header` declares in namespace previt: that of a file.
function(previt_embed name file header variable)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(READ ${CMAKE_SOURCE_DIR}/${file} text)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${name} @ONLY CONTENT
"#include \"@header@\"

namespace previt {

const char* const @variable@ = R\"text(@text@)text\";

}  // namespace previt
")
endfunction()
