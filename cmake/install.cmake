# What `cmake --install` puts where. LibTorch and the system's libraries stay where they are; the packages
# (package.cmake) take along what they need.
set(private_folder lib/previt)  # libraries that are nobody else's

target_compile_features(previt INTERFACE cxx_std_17)
target_include_directories(previt INTERFACE $<INSTALL_INTERFACE:include>)
# RPATH, not RUNPATH, so that libraries in private_folder also find what they need of one another there.
foreach(target ${tools} previt)
  target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
endforeach()
set_target_properties(${tools} PROPERTIES INSTALL_RPATH "$ORIGIN/../${private_folder};${torch_folders}")
set_target_properties(previt PROPERTIES INSTALL_RPATH "$ORIGIN/previt;${torch_folders}")

install(TARGETS ${tools} RUNTIME DESTINATION bin)
install(TARGETS previt EXPORT PreViT LIBRARY DESTINATION lib)
if(TARGET previt_video)
  install(TARGETS previt_video LIBRARY DESTINATION ${private_folder})
endif()

# find_package(PreViT) gives previt::previt.
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/PreViTConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT PreViT FILE PreViTConfig.cmake NAMESPACE previt:: DESTINATION lib/cmake/PreViT)
install(FILES ${CMAKE_BINARY_DIR}/PreViTConfigVersion.cmake DESTINATION lib/cmake/PreViT)
install(FILES include/previt/previt.h ${CMAKE_BINARY_DIR}/generated/include/previt/version.h
        DESTINATION include/previt)

install(DIRECTORY recipes DESTINATION share/previt)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION share/doc/previt)
install(DIRECTORY docs examples DESTINATION share/doc/previt)

# Manual pages and completions are what the programs say of themselves (tools/cli/help_pages.h).
foreach(tool ${tools})
  foreach(page man:man/man1/${tool}.1 bash:bash-completion/completions/${tool} zsh:zsh/site-functions/_${tool})
    string(REPLACE ":" ";" page ${page})
    list(GET page 0 form)
    list(GET page 1 file)
    install(CODE "
      set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/${file}\")
      get_filename_component(folder \"\${file}\" DIRECTORY)
      file(MAKE_DIRECTORY \"\${folder}\")
      execute_process(COMMAND \"$<TARGET_FILE:${tool}>\" --help-${form} OUTPUT_FILE \"\${file}\"
                      COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
endforeach()
