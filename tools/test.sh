#!/usr/bin/env bash
# Builds PreViT and runs all its tests: parsers and loops under the sanitizers first, then the engine alone,
# then everything.
# Environment: PREVIT_WERROR=ON makes a warning an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --tests || tools/setup.sh  # without the emulators their tests are skipped
options=(-DPREVIT_WERROR="${PREVIT_WERROR:-OFF}"
         ${PREVIT_TORCH:+-DPREVIT_TORCH="$PREVIT_TORCH"}
         ${PREVIT_PYTHON:+-DPREVIT_PYTHON="$(command -v "$PREVIT_PYTHON")"})
part() { printf '\n== %s (after %d s)\n' "$1" $SECONDS; }

# For tests/gates/format.sh, which is skipped where clang-format can't be installed.
[[ -d .deps/clang-format ]] || "${PREVIT_PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps \
  --target .deps/clang-format clang-format==18.1.8 || rm -rf .deps/clang-format

part 'Everything that parses, and the loops, under the address and undefined-behaviour sanitizers'
cmake --preset asan "${options[@]}" >/dev/null
cmake --build --preset asan --target parser_tests level_tests
build/asan/tests/levels/level_tests
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024 \
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 build/asan/tests/parser_tests

part 'The engine alone: no OpenCV, no HDF5'
cmake --preset engine-only "${options[@]}" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 >/dev/null
cmake --build --preset engine-only --target pretrain finetune
rm -rf build/engine-only/run
build/engine-only/pretrain --recipe recipes/quickstart/mae.yaml --device cpu --data synthetic:species,size=32,count=32 \
  --set 'model.image_size=[32]' --set model.patch_size=8 --set model.embed_dim=24 --set model.depth=1 \
  --set model.num_heads=2 --set train.epochs=1 --set train.batch=16 --set schedule.warmup_epochs=0 \
  --out build/engine-only/run

part 'All tests'
cmake --preset release "${options[@]}" >/dev/null
cmake --build --preset release
ctest --preset release -j "$(nproc)"
