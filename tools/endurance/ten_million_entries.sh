#!/usr/bin/env bash
# Lets pretrain start on ten million images of which only a listing is there: a thousand folders, and a cached listing
# of them to which names were added. It ends where the first batch finds no image. Says how long that takes and how much
# memory; fails past a limit.
#   ten_million_entries.sh [BIN]     the folder of programs (default build/release)
# Environment: FOLDERS (default 1000), EACH (images a folder; default 10000), NPROC (processes; default 1), MOST_SECONDS
# (default 10) and MOST_MIB (default 1024), of each process. Needs python3 to write the listing.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=${1:-build/release}
folders=${FOLDERS:-1000} each=${EACH:-10000} processes=${NPROC:-1}
most_seconds=${MOST_SECONDS:-10} most_mib=${MOST_MIB:-1024}
images=$((folders * each))

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for folder in $(seq -f "$temporary/images/n%08g" "$folders"); do
  mkdir -p "$folder"
  : >"$folder/first.jpg"
done
sleep 3  # the listing of a folder that has just changed is not cached

start() {
  local out=$temporary/out.txt code=0 peak=0 now id begin=$EPOCHREALTIME
  local command=("$programs/pretrain" --recipe recipes/quickstart/mae.yaml --device cpu --data "$temporary/images"
                 --out "$1")
  if [ "$processes" -gt 1 ]; then command+=(--nproc "$processes"); fi
  "${command[@]}" >"$out" 2>&1 &
  local process=$!
  while kill -0 "$process" 2>/dev/null; do
    for id in "$process" $(cat "/proc/$process/task/$process/children" 2>/dev/null || true); do
      now=$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$id/status" 2>/dev/null || true)
      if [ "${now:-0}" -gt "$peak" ]; then peak=$now; fi
    done
    sleep 0.05
  done
  wait "$process" || code=$?
  seconds=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}')
  mib=$peak
  if [ "$code" != 1 ] || ! grep -q "readable" "$out"; then
    cat "$out"
    exit 1
  fi
}

start "$temporary/first"
mkdir "$temporary/second"
mv "$temporary"/first/listing-*.cache "$temporary/second"
python3 - "$temporary"/second/listing-*.cache "$each" <<'PYTHON'
import struct, sys

path, each = sys.argv[1], int(sys.argv[2])
data = open(path, "rb").read()
magic, folders, met_again, files, keys, line_bytes, name_bytes = struct.unpack_from("<16s6Q", data)
lines = data[64:64 + line_bytes].split(b"\0")[:-1]
made = []
for line in lines[:folders]:
    words = line.split(b" ", 8)
    words[6] = b"0" if words[8] == b"" else str(each).encode()  # the root has none itself
    made.append(b" ".join(words))
made = b"".join(line + b"\0" for line in made + lines[folders:])
inside = [line.split(b" ", 8)[8] for line in lines[:folders]]
names = b"".join(b"".join(b"%s_%07d.JPEG\0" % (name, i) for i in range(each)) for name in inside if name)
files = each * sum(1 for name in inside if name)
with open(path, "wb") as out:
    out.write(struct.pack("<16s6Q", magic, folders, met_again, files, files, len(made), len(names)) + made + names)
    for first in range(0, files, each):
        out.write(struct.pack("<%dQ" % each, *range(first + 1, first + each + 1)))
PYTHON
start "$temporary/second"
echo "$images images: ready in $seconds s, at most $mib MiB in each of $processes processes"
if awk -v a="$seconds" -v b="$most_seconds" 'BEGIN {exit !(a > b)}' || [ "$mib" -gt "$most_mib" ]; then
  echo "more than $most_seconds s or $most_mib MiB"
  exit 1
fi
