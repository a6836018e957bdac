#!/usr/bin/env bash
# Trains for STEPS steps and watches the process. After the first tenth, memory must not grow by
# more than BOUND MiB, and the numbers of open files and threads must not grow at all.
#   long_run.sh [STEPS]     default 10000, of each of METHODS (default: mae finetune dino)
# Environment: BIN (programs; default build/release), BOUND (default 16), WORK (a folder that
# stays).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export OMP_NUM_THREADS=1 LC_ALL=C
bin=${BIN:-build/release} steps=${1:-10000} bound=${BOUND:-16} work=${WORK:-$(mktemp -d)}
mkdir -p "$work"

# 20 steps an epoch; lines, checkpoints, reports and evaluations come 100 times in 10,000 steps.
epochs=$(((steps + 19) / 20))
common=(--device cpu --data synthetic:species,size=16,count=160,val=40 --set model.image_size=[16]
        --set model.patch_size=4 --set model.embed_dim=24 --set model.depth=2 --set model.num_heads=2
        --set train.epochs=$epochs --set train.batch=8 --set train.threads=1 --set train.precision=fp32
        --set data.workers=2 --set output.checkpoint_epochs=5 --set output.log_steps=20)

words_of() {
  case $1 in
    mae) words=("$bin/pretrain" --recipe recipes/quickstart/mae.yaml "${common[@]}" --set mae.decoder.embed_dim=24
                --set mae.decoder.depth=1 --set output.preview_images=2 --set output.preview_epochs=20
                --set knn.epochs=5) ;;
    dino) words=("$bin/pretrain" --recipe recipes/quickstart/dino.yaml "${common[@]}" --set dino.head.out_dim=32
                 --set dino.head.hidden_dim=16 --set dino.head.bottleneck_dim=8 --set augment.local.height=8
                 --set augment.local.width=8 --set output.preview_images=2 --set output.preview_epochs=20
                 --set knn.epochs=5) ;;
    finetune) words=("$bin/finetune" --from none --recipe recipes/quickstart/finetune.yaml "${common[@]}"
                     --set finetune.eval_epochs=5 --set train.ema_decay=0.99) ;;
    *) echo "$1: no such method" >&2; exit 2 ;;
  esac
}

field() { sed -n "s/^$1:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$2/status" 2>/dev/null || true; }
step_of() { tail -n 1 "$1/metrics.jsonl" 2>/dev/null | sed -nE 's/.*"step":([0-9]+).*/\1/p'; }

# A line a second: step, kilobytes in memory, open files, threads.
watch() {
  local pid=$1 run=$2 memory
  while kill -0 "$pid" 2>/dev/null; do
    memory=$(field VmRSS "$pid")
    [[ -z $memory ]] || echo "$(step_of "$run" || true) $memory $(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l)" \
                             "$(field Threads "$pid")" >>"$run.samples"
    sleep 1
  done
}

# Compares the medians of the first and the last fifth of the samples after the first tenth, so
# that a buffer that lives for a moment doesn't count.
judge() {
  awk -v name="$1" -v steps="$steps" -v bound="$bound" '
    function median(list, from, to,   i, j, t, n) {
      n = 0
      for (i = from; i <= to; ++i) sorted[++n] = list[i]
      for (i = 2; i <= n; ++i) {
        t = sorted[i]
        for (j = i - 1; j > 0 && sorted[j] > t; --j) sorted[j + 1] = sorted[j]
        sorted[j + 1] = t
      }
      return sorted[int((n + 1) / 2)]
    }
    NF == 4 && $1 >= steps / 10 && $1 < steps { ++n; memory[n] = $2; files[n] = $3; threads[n] = $4; step[n] = $1 }
    END {
      if (n < 10) { printf "%-10s only %d samples: more steps are needed\n", name, n; exit 1 }
      part = int(n / 5)
      growth = (median(memory, n - part + 1, n) - median(memory, 1, part)) / 1024
      more_files = median(files, n - part + 1, n) - median(files, 1, part)
      more_threads = median(threads, n - part + 1, n) - median(threads, 1, part)
      good = growth <= bound && more_files <= 0 && more_threads <= 0
      printf "%-10s %d samples, steps %d to %d: memory %.1f to %.1f MiB (%+.1f, at most %+d), files %d to %d, threads %d to %d: %s\n",
             name, n, step[1], step[n], median(memory, 1, part) / 1024, median(memory, n - part + 1, n) / 1024,
             growth, bound, median(files, 1, part), median(files, n - part + 1, n), median(threads, 1, part),
             median(threads, n - part + 1, n), good ? "constant" : "GROWS"
      exit !good
    }' "$2.samples"
}

failed=0
for method in ${METHODS:-mae finetune dino}; do
  run=$work/$method
  words_of "$method"
  "${words[@]}" --out "$run" >"$run.out" 2>&1 &
  pid=$!
  watch "$pid" "$run"
  wait "$pid" || { echo "$method: $(tail -n 1 "$run.out")"; failed=1; continue; }
  judge "$method" "$run" || failed=1
done
[[ -n ${WORK:-} || $failed == 1 ]] || rm -rf "$work"
((failed == 0)) && echo "long_run: passed" || { echo "long_run: FAILED; see $work"; exit 1; }
