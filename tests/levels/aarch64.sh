#!/usr/bin/env bash
# aarch64.sh FOLDER: compiles for 64-bit ARM what each line of FOLDER/lines names, and runs the tests on an emulated
# processor. Exit status 77, skipped, where something that it needs isn't installed.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
compiler=aarch64-linux-gnu-g++
for need in "$compiler" qemu-aarch64; do
  command -v "$need" >/dev/null || { echo "aarch64.sh: no $need here; tools/setup.sh --tests installs it"; exit 77; }
done
# Catch2 3 is a library, and distributions have it for their own processor only.
[ -e /usr/include/catch2/catch.hpp ] || { echo "aarch64.sh: no /usr/include/catch2/catch.hpp, of Catch2 2, here"; exit 77; }

cd "$1"
rm -f ./*.o
# Headers of libraries that are nothing but headers may be those of this machine's own processor.
xargs -L 1 -P "$(nproc)" $(command -v ccache) "$compiler" -std=c++20 -DFMT_HEADER_ONLY=1 -I "$root/src" -I "$root/tests" \
  -idirafter /usr/include <lines
"$compiler" -static ./*.o -o level_tests
exec qemu-aarch64 ./level_tests
