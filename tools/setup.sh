#!/usr/bin/env bash
# Installs what PreViT's build needs and is missing, and nothing else. Run it as often as you like.
# With --tests also what runs tests/levels on emulated processors.
# For Debian 12 and Ubuntu 24.04. On other systems install the packages listed here by hand; nothing
# else is special.
#
#   PREVIT_TORCH=DIR   your own LibTorch (or the torch folder of a Python); it is only read
#   PREVIT_PYTHON=EXE  the Python whose pip fetches LibTorch when there is none (default python3)
#   PREVIT_GPU=yes|no  whether LibTorch is to have CUDA; without it, where the machine has a GPU's driver
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

python=${PREVIT_PYTHON:-python3}
packages=(cmake ninja-build ccache mold g++ libopencv-dev libboost-program-options-dev libhdf5-dev libfmt-dev catch2
          libyaml-cpp-dev nlohmann-json3-dev libxxhash-dev zlib1g-dev libjpeg-dev libpng-dev libtiff-dev libwebp-dev)
[ "${1:-}" != --tests ] || packages+=(qemu-user g++-aarch64-linux-gnu)

install_packages() {
  command -v dpkg-query >/dev/null || die "setup.sh: only for Debian and Ubuntu; install by hand: ${packages[*]}"
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then say "System packages: all there"; return; fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "setup.sh: not root and no sudo; ask an administrator for: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing system packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Whether the folder holds LibTorch 2.7 or later, judged by its headers; nothing of it is run.
has_torch() {
  [ -f "$1/lib/libtorch_cpu.so" ] || return 1
  # Which of the two there is depends on the version.
  { cat "$1"/include/torch/headeronly/version.h "$1"/include/torch/csrc/api/include/torch/version.h 2>/dev/null || true; } |
    awk '$2 == "TORCH_VERSION_MAJOR" { major = $3 } $2 == "TORCH_VERSION_MINOR" { minor = $3 }
         END { exit !(major * 1000 + minor >= 2007) }'
}

wants_cuda() {
  case ${PREVIT_GPU:-} in
    yes) return 0 ;;
    no) return 1 ;;
    "") [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1 ;;
    *) die "PREVIT_GPU=$PREVIT_GPU: use yes or no" ;;
  esac
}

# Says where LibTorch is, and where it can't use the machine's GPU.
say_torch() {
  say "LibTorch: $1, $2"
  if wants_cuda && [ ! -f "$2/lib/libtorch_cuda.so" ]; then
    echo "   built without CUDA, so the GPU of this machine is not used; $3"
  fi
}

find_torch() {
  local folder
  if [ -n "${PREVIT_TORCH:-}" ]; then
    has_torch "$PREVIT_TORCH" || die "PREVIT_TORCH=$PREVIT_TORCH: no LibTorch 2.7 or later there (lib/libtorch_cpu.so and include/)"
    say_torch "your own" "$PREVIT_TORCH" "give another PREVIT_TORCH"
    return
  fi
  folder=$("$python" -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')" 2>/dev/null || true)
  if [ -n "$folder" ] && has_torch "$folder"; then
    say_torch "the one of $python" "$folder" "give PREVIT_PYTHON=EXE with another or without one"
    return
  fi
  if has_torch .deps/python/torch; then
    say_torch "fetched before" .deps/python/torch "remove .deps and run this again"
    return
  fi
  "$python" -m pip --version >/dev/null 2>&1 || die "setup.sh: $python has no pip; install it (apt-get install python3-pip) or set PREVIT_TORCH"
  say "Fetching LibTorch into .deps/ (once)"
  rm -rf .deps/partial
  # Without a GPU the CPU build, where the package index has it (a twentieth of the size); else the
  # default build with its CUDA libraries.
  local pip=("$python" -m pip install --quiet --disable-pip-version-check --target .deps/partial)
  if wants_cuda; then
    echo "   with CUDA, as this machine has a GPU (PREVIT_GPU=no: without)"
    # Where pip knows of a CPU build too, it would take that for the newer one. LibTorch brings all of CUDA's headers
    # that NCCL's need (cmake/cuda.cmake) but two packages.
    "${pip[@]}" 'torch==2.13.0,!=2.13.0+cpu' 'cuda-toolkit[cccl,crt]==13.0.*'
  else
    "${pip[@]}" --no-deps 'torch==2.13.0+cpu' 2>/dev/null || "${pip[@]}" 'torch==2.13.0'
  fi
  rm -rf .deps/python
  mv .deps/partial .deps/python
}

install_packages
find_torch
