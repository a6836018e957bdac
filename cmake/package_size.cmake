# Run by cpack after it has made a package.
foreach(file ${CPACK_PACKAGE_FILES})
  file(SIZE ${file} bytes)
  math(EXPR megabytes "${bytes} / 1000000")
  message(STATUS "${file}: ${megabytes} MB")
endforeach()
