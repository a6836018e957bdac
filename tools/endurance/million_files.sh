#!/usr/bin/env bash
# Makes a million empty images in a thousand class folders and lets pretrain list them twice, the
# second time from its cache. Says how long it takes and how much memory; fails past a limit.
#   million_files.sh [BIN]     the folder of programs (default build/release)
# Environment: FOLDERS and EACH (images a folder; default 1000 each), MOST_SECONDS (default 30),
# MOST_MIB (default 1024).
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=${1:-build/release}
folders=${FOLDERS:-1000} each=${EACH:-1000}
most_seconds=${MOST_SECONDS:-30} most_mib=${MOST_MIB:-1024}
images=$((folders * each))

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
echo "making $images empty files in $folders folders"
for folder in $(seq -f "$temporary/images/%05g" "$folders"); do
  mkdir -p "$folder"
  (cd "$folder" && seq -f '%06g.jpg' "$each" | xargs touch)
done
sleep 3  # the listing of a folder that has just changed is not cached

# A batch larger than the data ends the command as soon as it has listed all images.
list() {
  local out=$temporary/out.txt code=0 peak=0 now start=$EPOCHREALTIME
  "$programs/pretrain" --recipe recipes/quickstart/mae.yaml --device cpu --data "$temporary/images" \
    --out "$temporary/run" --set "train.batch=$((2 * images))" >"$out" 2>&1 &
  local process=$!
  while kill -0 "$process" 2>/dev/null; do
    now=$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$process/status" 2>/dev/null || true)
    peak=${now:-$peak}
    sleep 0.05
  done
  wait "$process" || code=$?
  local seconds
  seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}')
  echo "$1: $images images listed in $seconds s with $peak MiB"
  if [ "$code" != 2 ] || ! grep -q "more than the $images images" "$out"; then
    cat "$out"
    exit 1
  fi
  if awk -v a="$seconds" -v b="$most_seconds" 'BEGIN {exit !(a > b)}' || [ "$peak" -gt "$most_mib" ]; then
    echo "more than $most_seconds s or $most_mib MiB"
    exit 1
  fi
}

list "anew"
[ -n "$(ls "$temporary/run"/listing-*.cache)" ]
list "from the cache"
