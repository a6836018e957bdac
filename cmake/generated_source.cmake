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
