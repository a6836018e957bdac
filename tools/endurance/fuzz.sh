#!/usr/bin/env bash
# Gives every parser INPUTS damaged inputs under the address and undefined-behaviour sanitizers,
# and prints a table. libFuzzer looks for inputs that reach new code; these are kept in
# build/fuzz/corpus.
#   fuzz.sh [INPUTS] [PARSER...]     default 100000, of all parsers (tests/fuzz/targets)
# Environment: JOBS (parsers at a time; default 2), SEED (default 1), CLANG (default: the newest
# clang++).
# Limits: 4 MiB (libFuzzer's own limit, 1 MiB, would cut seeds) and 10 seconds for an input, 1 GiB
# for an allocation, 4 GiB for the process. An input that does harm is kept in build/fuzz/found:
# mend the parser, and put the input into tests/fuzz/found/PARSER/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=build/fuzz
export OMP_NUM_THREADS=1

# one PARSER INPUTS: a line of the table; false where an input did harm.
one() {
  local parser=$1 inputs=$2 corpus=$build/corpus/$1 log=$build/$1.log begun=$SECONDS code=0 result crash=no
  mkdir -p "$corpus" "$build/found"
  local known=tests/fuzz/found/$parser
  [[ -d $known ]] || known=
  PREVIT_FUZZ_TARGET=$parser \
    ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1:max_allocation_size_mb=1024 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    $build/tests/fuzz -runs="$inputs" -seed="${SEED:-1}" -timeout=10 -rss_limit_mb=4096 -max_len=4194304 \
    -print_final_stats=0 -artifact_prefix="$build/found/$parser-" "$corpus" "$build/seeds/$parser" $known >"$log" 2>&1 || code=$?
  result=$(sed -nE 's/^RESULT inputs=([0-9]+) refused=([0-9]+)$/\1 \2/p' "$log")
  ((code == 0)) || crash="YES: $log"
  # Seeds are valid inputs: a parser that refuses them all is broken.
  [[ -z $result || ${result% *} != "${result#* }" ]] || { crash="no, but all were refused, seeds too"; code=1; }
  printf '%-26s %9s %9s %8d  %s\n' "$parser" ${result:-- -} $((SECONDS - begun)) "$crash"
  return "$code"
}

if [[ ${1:-} == --one ]]; then
  one "$2" "$3"
  exit
fi

inputs=${1:-100000}
shift || true
clang=${CLANG:-$(compgen -c clang++ | grep -E '^clang\+\+(-[0-9]+)?$' | sort -t- -k2 -n | tail -n 1 || true)}
if [[ -z $clang ]]; then
  echo "fuzz.sh: needs Clang with libFuzzer (Debian 12: apt-get install clang-19 libclang-rt-19-dev)." >&2
  echo "Without it: PREVIT_FUZZ_INPUTS=$inputs build/asan/tests/parser_tests '[fuzz]'" >&2
  exit 2
fi
cmake --preset fuzz -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_C_COMPILER="${clang/++/}" \
  ${PREVIT_TORCH:+-DPREVIT_TORCH="$PREVIT_TORCH"} >/dev/null
cmake --build --preset fuzz
rm -rf $build/seeds
$build/tests/fuzz --seeds $build/seeds 2>/dev/null
parsers=${*:-$($build/tests/fuzz --list)}

printf '%-26s %9s %9s %8s  %s\n' parser inputs refused seconds crash
if printf '%s\n' $parsers | xargs -P "${JOBS:-2}" -I{} tools/endurance/fuzz.sh --one {} "$inputs"; then
  echo "fuzz: passed"
else
  echo "fuzz: FAILED"
  exit 1
fi
