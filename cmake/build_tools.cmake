# Compiler flags (target previt_flags) and the build accelerators, used when they are there.
find_program(CCACHE ccache)
if(CCACHE)
  # A precompiled header needs these two, or every unit misses the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE})
endif()

add_library(previt_flags INTERFACE)
target_compile_options(previt_flags INTERFACE -Wall -Wextra $<$<BOOL:${CCACHE}>:-fpch-preprocess>)
# One set of objects for the programs and for libprevit.so. With hidden symbols, position-independent code is the
# machine code that programs have by default; without them each function would be called as if it could be replaced.
target_compile_options(previt_flags INTERFACE -fPIC -fvisibility=hidden -fvisibility-inlines-hidden)
if(PREVIT_WERROR)
  target_compile_options(previt_flags INTERFACE -Werror)
endif()
if(PREVIT_SANITIZE)
  # With them GCC takes LibTorch's empty optionals for uninitialised.
  target_compile_options(previt_flags INTERFACE -fsanitize=${PREVIT_SANITIZE} -fno-omit-frame-pointer
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(previt_flags INTERFACE -fsanitize=${PREVIT_SANITIZE})
endif()

find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_link_options(previt_flags INTERFACE -fuse-ld=mold)
endif()
