#!/usr/bin/env bash
# emulated.sh EMULATOR [OPTION...] PROGRAM [ARGUMENT...]: runs the program. Exit status 77, skipped, where the emulator
# isn't installed.
set -euo pipefail
command -v "$1" >/dev/null || { echo "emulated.sh: no $1 here; tools/setup.sh --tests installs it"; exit 77; }
exec "$@"
