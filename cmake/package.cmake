# `cpack` in the build folder makes two packages for the kind of system that it runs on:
#   .tar.gz  all that the programs need beside them, but for glibc; unpack it anywhere
#   .deb     LibTorch in /usr/lib/previt, the system's packages for the rest; programs are called previt-NAME, since
#            other packages have names such as convert
# bundle.cmake completes what is installed for them.
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME previt)
set(CPACK_PACKAGE_VENDOR PreViT)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Pretrains Vision Transformers on unlabelled images")
set(CPACK_PACKAGE_FILE_NAME previt-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/bundle.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/package_size.cmake)
set(CPACK_PREVIT_TORCH ${torch_root})
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The PreViT developers <previt@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${torch_root}/lib)
include(CPack)
