# Finds LibTorch without its own CMake package, which demands a CUDA toolkit for a CUDA build. Order:
# PREVIT_TORCH, CMAKE_PREFIX_PATH, the torch of the Python at hand, .deps/ (put there by tools/setup.sh).
set(torch_candidates ${PREVIT_TORCH})
if(NOT PREVIT_TORCH)
  foreach(prefix ${CMAKE_PREFIX_PATH})
    list(APPEND torch_candidates ${prefix} ${prefix}/../.. ${prefix}/torch ${prefix}/libtorch)
  endforeach()
  find_program(PREVIT_PYTHON NAMES python3 python)
  if(PREVIT_PYTHON)
    execute_process(COMMAND ${PREVIT_PYTHON} -c
      "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND torch_candidates ${python_torch})
  endif()
  list(APPEND torch_candidates ${CMAKE_SOURCE_DIR}/.deps/python/torch ${CMAKE_SOURCE_DIR}/.deps/libtorch)
endif()

set(torch_root "")
foreach(candidate ${torch_candidates})
  if(EXISTS ${candidate}/lib/libtorch_cpu.so AND EXISTS ${candidate}/include/torch/csrc/api/include/torch/torch.h)
    get_filename_component(torch_root ${candidate} REALPATH)
    break()
  endif()
endforeach()
if(NOT torch_root)
  message(FATAL_ERROR "LibTorch not found. Run tools/setup.sh, or give -DPREVIT_TORCH=/path/to/libtorch "
    "(a folder with lib/libtorch_cpu.so and include/).")
endif()

file(GLOB_RECURSE version_headers ${torch_root}/include/torch/headeronly/version.h
     ${torch_root}/include/torch/csrc/api/include/torch/version.h)
set(torch_version "")
foreach(header ${version_headers})
  file(STRINGS ${header} lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) [0-9]+")
  foreach(line ${lines})
    string(REGEX MATCH "[0-9]+$" number "${line}")
    list(APPEND torch_version ${number})
  endforeach()
  if(torch_version)
    break()
  endif()
endforeach()
list(JOIN torch_version "." torch_version)
if(torch_version VERSION_LESS 2.7)
  message(FATAL_ERROR "LibTorch ${torch_version} in ${torch_root} is too old: PreViT needs 2.7 or later "
    "(the first with the C++11 ABI everywhere).")
endif()
message(STATUS "LibTorch ${torch_version}: ${torch_root}")

add_library(previt_torch INTERFACE)
target_include_directories(previt_torch SYSTEM INTERFACE ${torch_root}/include
                           ${torch_root}/include/torch/csrc/api/include)
target_link_directories(previt_torch INTERFACE ${torch_root}/lib)
# CUDA kernels register themselves when their library is loaded, so it must stay on the link line.
if(EXISTS ${torch_root}/lib/libtorch_cuda.so)
  target_link_libraries(previt_torch INTERFACE -Wl,--push-state,--no-as-needed torch_cuda -Wl,--pop-state c10_cuda)
  # The CUDA libraries of a wheel lie beside it, in nvidia/*/lib.
  file(GLOB nvidia_folders ${torch_root}/../nvidia/*/lib)
  target_link_options(previt_torch INTERFACE -Wl,--allow-shlib-undefined)
endif()
target_link_libraries(previt_torch INTERFACE torch torch_cpu c10)
# at::parallel_for needs OpenMP, and LibTorch's own libgomp, under whatever name it was shipped: a second
# runtime would start a second team of threads.
file(GLOB torch_gomp ${torch_root}/lib/libgomp*.so*)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  if(torch_gomp)
    list(GET torch_gomp 0 torch_gomp)
    target_link_libraries(previt_torch INTERFACE ${torch_gomp})
  else()
    target_link_libraries(previt_torch INTERFACE gomp)
  endif()
endif()
set(CMAKE_BUILD_RPATH ${torch_root}/lib ${nvidia_folders})
set(CMAKE_INSTALL_RPATH ${torch_root}/lib ${nvidia_folders})
