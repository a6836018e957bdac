#!/usr/bin/env bash
# Kills training at random moments and resumes it until it is done. The last checkpoint must have
# the bytes of a run that was left alone, metrics.jsonl its lines, and best/ its model.
#   kill_and_resume.sh [N]     N kills of each of METHODS (default 100)
# Environment: BIN (programs; default build/release), SEED (of the moments), JOBS (methods at a
# time; default 2), METHODS (default: tokenizer mae dino beit finetune), WORK (an empty folder that
# stays; default a temporary one, kept where a method fails), NPROC (processes of a killed run;
# default 1. Of several, a kill is of one rank, of rank 0, of --nproc's parent, or of all; the run
# left alone is of one process).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tools/endurance/same_run.sh
export BIN=${BIN:-build/release} SEED=${SEED:-$(date +%s)} NPROC=${NPROC:-1} OMP_NUM_THREADS=1 LC_ALL=C

# --- the runs: 60 epochs of 8 steps on images of 16 pixels, a checkpoint every 6 steps, a line every 4 ---------

common=(--device cpu --data synthetic:species,size=16,count=64,val=20 --set model.image_size=[16]
        --set model.patch_size=4 --set train.epochs=60 --set train.batch=8 --set train.micro_batch=4
        --set train.precision=fp32 --set train.matmul=fixed --set train.threads=1 --set schedule.warmup_epochs=1
        --set data.workers=2
        --set output.checkpoint_epochs=0.75 --set output.log_steps=4)
vit=(--set model.embed_dim=24 --set model.depth=2 --set model.num_heads=2 --set model.drop_path=0.1)
quiet=(--set output.preview_images=0)

# Prints the command of a method, one word a line.
words_of() {
  local words
  case $1 in
    tokenizer) words=("$BIN/train_tokenizer" --recipe recipes/quickstart/tokenizer.yaml "${common[@]}" "${quiet[@]}"
                      --set vqvae.network.width=16 --set vqvae.codebook.codes=16) ;;
    mae) words=("$BIN/pretrain" --recipe recipes/quickstart/mae.yaml "${common[@]}" "${vit[@]}"
                --set mae.decoder.embed_dim=24 --set mae.decoder.depth=1 --set output.preview_images=2
                --set output.preview_epochs=4 --set knn.epochs=3) ;;
    dino) words=("$BIN/pretrain" --recipe recipes/quickstart/dino.yaml "${common[@]}" "${vit[@]}" "${quiet[@]}"
                 --set dino.centering=center --set dino.head.out_dim=32 --set dino.head.hidden_dim=16
                 --set dino.head.bottleneck_dim=8 --set augment.local.height=8 --set augment.local.width=8
                 --set knn.epochs=0) ;;
    beit) words=("$BIN/pretrain" --recipe recipes/quickstart/beit.yaml "${common[@]}" "${vit[@]}" "${quiet[@]}"
                 --set beit.tokenizer="$2/tokenizer" --set beit.masked_patches=6 --set beit.block.min_patches=2
                 --set knn.epochs=0) ;;
    finetune) words=("$BIN/finetune" --from none --recipe recipes/quickstart/finetune.yaml "${common[@]}"
                     "${vit[@]}" "${quiet[@]}" --set finetune.eval_epochs=1 --set train.ema_decay=0.9) ;;
    *) echo "$1: no such method" >&2; return 2 ;;
  esac
  printf '%s\n' "${words[@]}"
}

milliseconds() { local now=${EPOCHREALTIME/[.,]/}; echo $((now / 1000)); }

# --- killing ---------------------------------------------------------------------------------------------------

# What the run was doing, by what it left behind. `log` is the inode of metrics.jsonl when it was started.
phase_of() {
  local run=$1 log=$2 left newest
  left=$(find "$run" -name '.tmp_step_*' -printf '%P\n' 2>/dev/null | head -n 1 || true)
  newest=$(newest "$run")
  if [[ $left == best/* ]]; then echo saving-best
  elif [[ -n $left && ${left##*.tmp_} > ${newest##*/} ]]; then echo saving
  elif [[ -n $left ]]; then echo pruning
  elif [[ -e $run/report.html.partial ]]; then echo report
  elif [[ -e $run/metrics.jsonl.tmp || -e $run/recipe.yaml.partial ]]; then echo start
  elif [[ $(stat -c %i "$run/metrics.jsonl" 2>/dev/null || true) == "$log" ]]; then echo loading
  elif [[ -z $newest ]]; then echo first-steps
  else
    local step
    step=$(tail -n 1 "$run/metrics.jsonl" | sed -nE 's/.*"step":([0-9]+).*/\1/p')
    ((10#${newest##*_} == 480)) && echo end && return
    ((${step:-0} > 10#${newest##*_})) && echo "after-a-line" || echo training
  fi
}

# Every third kill waits for a file that is there only while something is being written.
await_writing() {
  local names=("checkpoints/.tmp_*" "report.html.partial" "best/checkpoints/.tmp_*" "*.partial" "previews/*.partial")
  local name=${names[RANDOM % ${#names[@]}]} last=$(($(milliseconds) + 500))
  until compgen -G "$1/$name" >/dev/null || (($(milliseconds) > last)); do :; done
}

# Kills the process, of several one or all, and returns when they have ended, with its exit code.
kill_some() {
  local parent=$1 rank code=0 ranks
  mapfile -t ranks < <(pgrep -P "$parent")
  ((${#ranks[@]} > 0)) || ranks=("$parent")
  case $((RANDOM % 4)) in
    0) kill -KILL "$parent" ;;
    1) kill -KILL "${ranks[0]}" ;;
    2) kill -KILL "${ranks[RANDOM % ${#ranks[@]}]}" ;;
    3) kill -KILL "$parent" "${ranks[@]}" ;;
  esac 2>/dev/null || true
  { wait "$parent" || code=$?; } 2>/dev/null
  for rank in "${ranks[@]}"; do
    while kill -0 "$rank" 2>/dev/null; do sleep 0.05; done
  done
  return $code
}

# kill_once RUN LONGEST: starts the run and kills it within LONGEST milliseconds. False where it
# ended before.
kill_once() {
  local run=$1 longest=$2 log wait pid code=0
  log=$(stat -c %i "$run/metrics.jsonl" 2>/dev/null || true)
  wait=$(((RANDOM * 32768 + RANDOM) % longest))
  "${words[@]}" --nproc "$NPROC" --out "$run" --resume >>"$run.out" 2>&1 &
  pid=$!
  sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
  ((RANDOM % 3 > 0)) || await_writing "$run"
  kill_some "$pid" || code=$?
  ((code == 137)) && { phase_of "$run" "$log" >>"$run.phases"; return 0; }
  ((code == 0)) || { echo "$run: exit code $code, $(tail -n 1 "$run.out")"; exit 1; }
  return 1
}

# one METHOD KILLS WORK: prints a line; anything wrong ends it with exit code 1.
one() {
  local method=$1 kills=$2 work=$3 done=0 runs=0 begun=$SECONDS start first='' end
  local whole=$work/$method.whole
  mapfile -t words < <(words_of "$method" "$work")
  RANDOM=$((SEED + ${#method} + $(printf %d "'$method")))
  start=$(milliseconds)
  "${words[@]}" --out "$whole" >"$whole.out" 2>&1 &
  while [[ -z $first ]] && kill -0 $! 2>/dev/null; do
    [[ -s $whole/metrics.jsonl ]] && first=$(milliseconds) || sleep 0.01
  done
  wait $! || { echo "$method: $(tail -n 1 "$whole.out")"; exit 1; }
  end=$(milliseconds)
  # A third of the moments fall into the start; a run gets about twelve kills.
  local longest=$((3 * (first - start) / 2 + (end - first) / 6))
  : >"$work/$method.phases"
  while ((done < kills)); do
    local run=$work/$method.killed$((++runs))
    while ((done < kills)) && kill_once "$run" "$longest"; do done=$((done + 1)); done
    "${words[@]}" --nproc "$NPROC" --out "$run" --resume >>"$run.out" 2>&1 || { echo "$method: $(tail -n 1 "$run.out")"; exit 1; }
    same_run "$whole" "$run" || { echo "$method: $run is not $whole"; exit 1; }
    cat "$run.phases" >>"$work/$method.phases" 2>/dev/null || true
    rm -rf "$run" "$run".*
  done
  printf '%-10s %4d kills, %3d runs, all as the undisturbed one (%s, %d s):%s\n' "$method" "$done" "$runs" \
    "$(basename "$(newest "$whole")")" $((SECONDS - begun)) \
    "$(sort "$work/$method.phases" | uniq -c | awk '{printf " %s %d", $2, $1}')"
}

if [[ ${1:-} == --one ]]; then
  one "$2" "$3" "$4"
  exit
fi

kills=${1:-100}
work=${WORK:-$(mktemp -d)}
methods=${METHODS:-tokenizer mae dino beit finetune}
echo "kill_and_resume: $kills kills of each of $methods; SEED=$SEED, NPROC=$NPROC, in $work"
mkdir -p "$work"
if [[ $methods == *beit* ]]; then
  mapfile -t words < <(words_of tokenizer "$work")
  "${words[@]}" --out "$work/tokenizer" >"$work/tokenizer.out" 2>&1 || { tail -n 1 "$work/tokenizer.out"; exit 1; }
fi
if printf '%s\n' $methods | xargs -P "${JOBS:-2}" -I{} tools/endurance/kill_and_resume.sh --one {} "$kills" "$work"; then
  [[ -n ${WORK:-} ]] || rm -rf "$work"
  echo "kill_and_resume: passed"
else
  echo "kill_and_resume: FAILED; see $work"
  exit 1
fi
