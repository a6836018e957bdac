#!/usr/bin/env bash
# Builds PreViT and runs all its tests: parsers under the sanitizers first, then everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
torch=(${PREVIT_TORCH:+-DPREVIT_TORCH="$PREVIT_TORCH"}
       ${PREVIT_PYTHON:+-DPREVIT_PYTHON="$(command -v "$PREVIT_PYTHON")"})

printf '\n== Everything that parses, under the address and undefined-behaviour sanitizers\n'
cmake --preset asan "${torch[@]}" >/dev/null
cmake --build --preset asan --target parser_tests
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  build/asan/tests/parser_tests

printf '\n== All tests\n'
cmake --preset release "${torch[@]}" >/dev/null
cmake --build --preset release
ctest --preset release -j "$(nproc)"
