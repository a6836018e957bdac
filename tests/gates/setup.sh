#!/usr/bin/env bash
# Which LibTorch tools/setup.sh fetches, with and without a GPU: the commands that it calls are stood
# in for, and nothing is installed.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/tools"
cp "$source/tools/setup.sh" "$folder/tools/"

# All packages are there; pip writes down what it is asked for and leaves a LibTorch without CUDA.
cat > "$folder/bin/dpkg-query" <<'END'
#!/bin/sh
echo "install ok installed"
END
cat > "$folder/bin/python3" <<'END'
#!/bin/sh
[ "$1" = -m ] || exit 0
case $3 in --version) exit 0 ;; esac
echo "$*" >> pip.txt
for word; do [ "$before" != --target ] || to=$word; before=$word; done
mkdir -p "$to/torch/lib" "$to/torch/include/torch/headeronly"
touch "$to/torch/lib/libtorch_cpu.so"
printf '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n' > "$to/torch/include/torch/headeronly/version.h"
END
chmod +x "$folder"/bin/*

failed=0
check() {  # check WHAT FILE PATTERN
  grep -q -- "$3" "$2" || { echo "FAILED: $1: no '$3' in:"; cat "$2"; failed=1; }
}
setup() { PATH="$folder/bin:$PATH" bash "$folder/tools/setup.sh" > "$folder/said.txt" 2>&1; }

PREVIT_GPU=no setup
check "without a GPU" "$folder/pip.txt" "--no-deps torch==2.13.0+cpu$"
rm -rf "$folder/.deps" "$folder/pip.txt"

printf '#!/bin/sh\necho "GPU 0: a card"\n' > "$folder/bin/nvidia-smi"
chmod +x "$folder/bin/nvidia-smi"
setup
check "with a GPU" "$folder/pip.txt" "partial torch==2.13.0,!=2.13.0+cpu cuda-toolkit\[cccl,crt\]"
check "with a GPU" "$folder/said.txt" "with CUDA, as this machine has a GPU"

setup  # what is there now lacks CUDA
check "LibTorch without CUDA" "$folder/said.txt" "GPU of this machine is not used; remove .deps"
[ "$(wc -l < "$folder/pip.txt")" = 1 ] || { echo "FAILED: fetched again"; failed=1; }
PREVIT_GPU=no setup
! grep -q "not used" "$folder/said.txt" || { echo "FAILED: told of a GPU that is not wanted"; failed=1; }
! PREVIT_GPU=maybe setup || { echo "FAILED: PREVIT_GPU=maybe was taken"; failed=1; }
exit $failed
