# Writes the file that calls register_<stem>() for every objectives/<stem>.cpp. A file without that
# function is a link error that names it.
function(previt_generate_registry out_variable files)
  set(declarations "")
  set(calls "")
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND declarations "void register_${stem}(ObjectiveRegistry& registry);\n")
    string(APPEND calls "  register_${stem}(registry);\n")
  endforeach()
  set(generated ${CMAKE_BINARY_DIR}/generated/registry_all.cpp)
  file(CONFIGURE OUTPUT ${generated} CONTENT
"#include \"pretrain/registry.h\"

namespace previt {
${declarations}
void register_all_objectives([[maybe_unused]] ObjectiveRegistry& registry) {
${calls}}
}  // namespace previt
" @ONLY)
  set(${out_variable} ${generated} PARENT_SCOPE)
endfunction()
