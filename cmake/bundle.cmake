# Run by cpack on the installed files that it is about to pack: brings the libraries that the package must have of its
# own, lets the programs find them wherever the package lies, and brings the libraries' licences.
file(GLOB_RECURSE pretrain ${CPACK_TEMPORARY_DIRECTORY}/bin/pretrain ${CPACK_TEMPORARY_DIRECTORY}/*/bin/pretrain)
get_filename_component(prefix ${pretrain} DIRECTORY)
get_filename_component(prefix ${prefix} DIRECTORY)
set(private ${prefix}/lib/previt)
file(GLOB programs ${prefix}/bin/*)
file(GLOB_RECURSE library ${prefix}/lib/libprevit.so.*.*.*)

# OpenCV's video writers would bring two hundred libraries more, some under the GPL.
file(REMOVE ${private}/libprevit_video.so)

file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${programs} LIBRARIES ${library}
     RESOLVED_DEPENDENCIES_VAR needed UNRESOLVED_DEPENDENCIES_VAR missing CONFLICTING_DEPENDENCIES_PREFIX several
     PRE_EXCLUDE_REGEXES "^(ld-linux.*|lib(c|m|pthread|dl|rt|resolv|util|mvec|anl|nsl))\\.so")
if(missing)
  message(FATAL_ERROR "libraries not found: ${missing}")
endif()
foreach(name ${several_FILENAMES})  # LibTorch's own libgomp, as in the build
  list(FILTER several_${name} INCLUDE REGEX "^${CPACK_PREVIT_TORCH}/")
  list(APPEND needed ${several_${name}})
endforeach()
if(CPACK_GENERATOR STREQUAL "DEB")
  list(FILTER needed INCLUDE REGEX "^${CPACK_PREVIT_TORCH}/")
endif()
file(MAKE_DIRECTORY ${private})
foreach(file ${needed})
  get_filename_component(name ${file} NAME)
  file(REAL_PATH ${file} file)
  file(COPY_FILE ${file} ${private}/${name})
endforeach()

foreach(program ${programs})
  file(RPATH_SET FILE ${program} NEW_RPATH "$ORIGIN/../lib/previt")
endforeach()
file(RPATH_SET FILE ${library} NEW_RPATH "$ORIGIN/previt")

# The licences: LibTorch's lie beside it, a system library's in its Debian package.
set(licences ${prefix}/share/doc/previt/licences)
file(GLOB of_torch ${CPACK_PREVIT_TORCH}/../torch-*.dist-info/licenses
     ${CPACK_PREVIT_TORCH}/../torch-*.dist-info/LICENSE ${CPACK_PREVIT_TORCH}/../torch-*.dist-info/NOTICE)
file(COPY ${of_torch} DESTINATION ${licences}/libtorch)
find_program(dpkg dpkg-query)
foreach(file ${needed})
  get_filename_component(name ${file} NAME)
  if(dpkg AND NOT file MATCHES "^${CPACK_PREVIT_TORCH}/")
    execute_process(COMMAND ${dpkg} -S "*/${name}" OUTPUT_VARIABLE owner ERROR_QUIET)
    string(REGEX REPLACE ":.*" "" owner "${owner}")
    if(owner AND EXISTS /usr/share/doc/${owner}/copyright)
      file(MAKE_DIRECTORY ${licences}/${owner})
      file(COPY_FILE /usr/share/doc/${owner}/copyright ${licences}/${owner}/copyright)
    endif()
  endif()
endforeach()

if(CPACK_GENERATOR STREQUAL "DEB")
  foreach(program ${programs})
    get_filename_component(name ${program} NAME)
    file(RENAME ${program} ${prefix}/bin/previt-${name})
    set(share ${prefix}/share)
    file(RENAME ${share}/man/man1/${name}.1 ${share}/man/man1/previt-${name}.1)
    file(RENAME ${share}/bash-completion/completions/${name} ${share}/bash-completion/completions/previt-${name})
    file(RENAME ${share}/zsh/site-functions/_${name} ${share}/zsh/site-functions/_previt-${name})
  endforeach()
endif()
