# Installs, moves what was installed, builds the example against it outside the source tree, and runs it.
# Usage: cmake -DBUILD=... -DSOURCE=... -DGENERATOR=... -DTESTS=previt_tests -DTOOLS="pretrain;..." -P check.cmake
set(work ${BUILD}/install_check)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${work} COMMAND_ERROR_IS_FATAL ANY OUTPUT_VARIABLE output)
  set(output "${output}" PARENT_SCOPE)
endfunction()

# expect(TEXT REGEX)
function(expect text regex)
  if(NOT text MATCHES "${regex}")
    message(FATAL_ERROR "no ${regex} in: ${text}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
file(RENAME ${work}/first ${work}/moved)
set(prefix ${work}/moved)

file(GLOB headers RELATIVE ${prefix}/include ${prefix}/include/* ${prefix}/include/previt/*)
list(SORT headers)
if(NOT headers STREQUAL "previt;previt/previt.h;previt/version.h")
  message(FATAL_ERROR "public headers: ${headers}")
endif()
foreach(tool ${TOOLS})
  foreach(file bin/${tool} share/man/man1/${tool}.1 share/bash-completion/completions/${tool}
               share/zsh/site-functions/_${tool})
    if(NOT EXISTS ${prefix}/${file})
      message(FATAL_ERROR "not installed: ${file}")
    endif()
  endforeach()
endforeach()

# Recipes by name, from any folder.
run(${prefix}/bin/pretrain --list-recipes)
expect("${output}" "\nquickstart/mae ")
run(${prefix}/bin/pretrain --recipe mae.yaml --print-recipe)
expect("${output}" "objective: mae")
run(${prefix}/bin/bench --help-man)
expect("${output}" "NAME\nbench")

# Only what is public is exported.
find_program(nm nm)
if(nm)
  run(${nm} -D --defined-only ${prefix}/lib/libprevit.so)
  expect("${output}" "_ZN6previt13load_backbone")
  string(REGEX MATCHALL "[^\n]+\n" symbols "${output}")
  list(FILTER symbols EXCLUDE REGEX " _ZNK?6previt(8Backbone|13load_backbone|10load_image|7version)")
  if(symbols)
    message(FATAL_ERROR "libprevit.so also exports:\n${symbols}")
  endif()
endif()

run(${CMAKE_COMMAND} -S ${SOURCE}/examples/embed_cpp -B ${work}/example -G ${GENERATOR}
    -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_BUILD_TYPE=Debug)
run(${CMAKE_COMMAND} --build ${work}/example)
set(ENV{PREVIT_INSTALLED} ${prefix})
set(ENV{PREVIT_EXAMPLE} ${work}/example/embed_cpp)
run(${TESTS} [install])
expect("${output}" "All tests passed")
