#!/usr/bin/env bash
# Fails where a file isn't as clang-format 18.1.8 leaves it; --fix formats them all. Other versions break lines elsewhere,
# so this one is fetched by tools/test.sh (pip install --target .deps/clang-format clang-format==18.1.8).
# Where it isn't there, the exit status is 77: skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=18.1.8
for format in "${PREVIT_CLANG_FORMAT:-}" .deps/clang-format/clang_format/data/bin/clang-format clang-format; do
  [[ "$("$format" --version 2>/dev/null || true)" == *"version $version"* ]] && break
  format=
done
[[ -n $format ]] || { echo "format.sh: no clang-format $version here"; exit 77; }
how=(--dry-run -Werror)
[[ ${1:-} == --fix ]] && how=(-i)
find src include examples tools tests \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 -P 2 -n 40 "$format" "${how[@]}"
