#!/usr/bin/env bash
# Everything about a GPU that can be measured in one run of ten minutes, cut off at any moment: each stage has a time of
# its own and writes its lines to OUT/summary.txt as it goes; OUT/summary.md at the end is for docs/gpu.md.
#
#   tools/device_check.sh [--dry-run] [--device cuda] [--programs DIR] [--stages "machine tests …"] [OUT]
#
# DIR holds pretrain and bench, and in tests/ parity_check and previt_tests (default build/release). They are built
# beforehand against a LibTorch with CUDA of the machine's version, and stripped; LibTorch itself is that of the machine's
# python3. OUT is $OUT or device_check. --dry-run takes the CPU and small sizes, so that no line here is untried.
# Peers are the scripts of tools/peers and, as for compare_step.py, those in $PEER_FOLDER, run by $PEER_PYTHON.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=cuda dry= programs=build/release out=${OUT:-device_check}
stages="machine tests attention same bench peers trace variants feeding"
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=1 device=cpu ;;
    --device) device=$2; shift ;;
    --programs) programs=$2; shift ;;
    --stages) stages=$2; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "device_check.sh: $1 is no option" >&2; exit 2 ;;
    *) out=$1 ;;
  esac
  shift
done
mkdir -p "$out" && out=$(realpath "$out") && programs=$(realpath "$programs") || exit 2
summary=$out/summary.txt
: > "$summary"
helper="python3 tools/device_check.py"

# The libraries of the machine's own LibTorch; a build that finds its own needs none.
torch=$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null)
if [ -n "$torch" ]; then
  LD_LIBRARY_PATH=$torch/lib:$(printf '%s:' "$torch"/../nvidia/*/lib)${LD_LIBRARY_PATH:-}
  export LD_LIBRARY_PATH
fi

line() { printf '%s\n' "$*" | tee -a "$summary"; }

# attempt SECONDS NAME COMMAND…: its last line becomes a line of the summary, all of it goes to OUT/NAME.log.
attempt() {
  local limit=$1 name=$2 begin=$SECONDS code
  shift 2
  # timeout starts programs only: a function goes through a shell that knows it.
  [ "$(type -t "$1")" != function ] || set -- bash -c '"$@"' shell "$@"
  timeout --kill-after=5 "$limit" "$@" > "$out/$name.log" 2>&1
  code=$?
  case $code in
    0) line "$name | $((SECONDS - begin)) s | $(tail -n 1 "$out/$name.log" | cut -c1-400)" ;;
    77) line "$name | $((SECONDS - begin)) s | skipped: $(tail -n 1 "$out/$name.log" | cut -c1-200)" ;;
    124 | 137) line "$name | $((SECONDS - begin)) s | STOPPED after its $limit s" ;;
    *) line "$name | $((SECONDS - begin)) s | FAILED ($code): $(tail -n 1 "$out/$name.log" | cut -c1-300)" ;;
  esac
  return $code
}

# Sizes: on a GPU those of the methods, in a dry run what a CPU does in seconds.
small=(--set model.depth=1 --set model.embed_dim=48 --set model.num_heads=3)
# step SECONDS NAME RECIPE BATCH OPTIONS…
step() {
  local limit=$1 name=$2 recipe=$3 batch=$4
  shift 4
  local reduced=()
  if [ -n "$dry" ]; then
    batch=4 reduced=("${small[@]}")
    case $recipe in
      dino*) reduced+=(--set dino.head.out_dim=64 --set dino.local_crops=2) ;;
      mae*) reduced+=(--set mae.decoder.depth=1 --set mae.decoder.embed_dim=48 --set mae.decoder.num_heads=3) ;;
    esac
  fi
  attempt "$limit" "$name" "$programs/bench" step --recipe "recipes/imagenet/$recipe.yaml" --batch "$batch" \
    --steps "${steps:-$([ -n "$dry" ] && echo 1 || echo 10)}" --device "$device" --set "train.precision=${precision:-bf16}" \
    "$@" "${reduced[@]}"
}
tiny=(--set model.arch=vit_tiny --set 'model.image_size=[32]' --set model.patch_size=2
      --set mae.decoder.embed_dim=128 --set mae.decoder.depth=2 --set mae.decoder.num_heads=4)
tokens=(--set beit.tokenizer=colors:8192 --set beit.tokenizer_interpolation=bicubic)

stage_machine() {
  [ -n "$dry" ] || attempt 10 machine_gpu nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader
  attempt 10 machine_libraries sh -c "ldd '$programs/bench' '$programs/pretrain' | grep 'not found' && exit 1; echo all libraries found"
  attempt 20 machine_ceilings $helper ceilings "$device"
}

stage_tests() {
  attempt "$([ -n "$dry" ] && echo 250 || echo 30)" tests_parity "$programs/tests/parity_check" --device "$device" tests/fixtures
  PREVIT_TEST_DEVICE=$device attempt "$([ -n "$dry" ] && echo 250 || echo 30)" tests_contract \
    "$programs/tests/previt_tests" '-#' '[#test_objectives],[#test_device_augment],[#test_gpu_norm],[#test_nccl]~[programs]'
}

stage_attention() {  # which kernel each shape gets
  local name
  steps=1 step 25 attention_mae mae_vit_base 64 --trace "$out/attention_mae.json"
  steps=1 step 25 attention_beit beit_vit_base 32 "${tokens[@]}" --trace "$out/attention_beit.json"
  steps=1 step 25 attention_dino dino_vit_small 16 --trace "$out/attention_dino.json"
  steps=1 step 25 attention_simmim simmim_vit_base 32 --trace "$out/attention_simmim.json"
  for name in mae beit dino simmim; do
    attempt 20 "attention_${name}_kernels" $helper attention "$out/attention_$name.json"
  done
}

run_of() {  # run_of DEVICE RECIPE FOLDER OPTIONS…: 24 steps on generated scenes
  local on=$1 recipe=$2 folder=$3
  shift 3
  "$programs/pretrain" --recipe "recipes/quickstart/$recipe.yaml" --device "$on" --out "$folder" --set train.seed=3 \
    --data synthetic:species,size=64,count=96 --set train.epochs=4 --set train.batch=16 --set train.precision=fp32 \
    --set train.matmul=fixed --set data.workers=2 --set schedule.warmup_epochs=1 --set output.log_steps=1 \
    --set output.checkpoint_epochs=1 --set output.preview_images=0 --set output.keep_last=10 --set knn.epochs=0 "$@"
}

export -f run_of
export programs

stage_same() {  # the CPU's losses in fp32; stopped and resumed, as it is and deterministic
  local recipe switch
  for recipe in mae dino; do
    rm -rf "$out/same_$recipe".*
    attempt 60 "same_${recipe}_cpu" run_of cpu $recipe "$out/same_$recipe.cpu"
    attempt 60 "same_${recipe}_device" run_of "$device" $recipe "$out/same_$recipe.device"
    attempt 10 "same_${recipe}_losses" $helper losses "$out/same_$recipe.cpu" "$out/same_$recipe.device" 1e-3
    for switch in false true; do
      attempt 60 "same_${recipe}_whole_$switch" run_of "$device" $recipe "$out/same_$recipe.whole" \
        --set train.deterministic=$switch --resume
      cp -r "$out/same_$recipe.whole" "$out/same_$recipe.cut" && rm -rf "$out/same_$recipe.cut/checkpoints/step_00000024" \
        "$out/same_$recipe.cut/checkpoints/step_00000018"
      attempt 60 "same_${recipe}_resumed_$switch" run_of "$device" $recipe "$out/same_$recipe.cut" \
        --set train.deterministic=$switch --resume
      attempt 10 "same_${recipe}_bits_$switch" cmp "$out/same_$recipe".{whole,cut}/checkpoints/step_00000024/backbone.safetensors
      rm -rf "$out/same_$recipe".{whole,cut}
    done
  done
}
stage_bench() {
  step 20 bench_mae_b_256 mae_vit_base 256
  step 20 bench_mae_b_512 mae_vit_base 512
  step 20 bench_mae_b_1024 mae_vit_base 1024
  step 20 bench_mae_l_256 mae_vit_large 256
  step 20 bench_dino_s_64 dino_vit_small 64
  step 20 bench_dino_s_128 dino_vit_small 128
  step 20 bench_dino_s_256 dino_vit_small 256
  step 20 bench_beit_b_128 beit_vit_base 128 "${tokens[@]}"
  step 20 bench_mae_ti_512 mae_vit_base 512 "${tiny[@]}"
  step 20 bench_mae_ti_4096 mae_vit_base 4096 "${tiny[@]}"
}

# peer SECONDS NAME SCRIPT ARGUMENTS…
peer() {
  local limit=$1 name=$2 script=$3
  shift 3
  if [ ! -f "$script" ]; then line "$name | 0 s | skipped: no $script"; return; fi
  if ! "${PEER_PYTHON:-python3}" -c 'import torch, transformers' 2>/dev/null; then
    line "$name | 0 s | skipped: ${PEER_PYTHON:-python3} has no torch or no transformers"
    return
  fi
  attempt "$limit" "$name" "${PEER_PYTHON:-python3}" "$script" "$@" --device "$device"
}

stage_peers() {  # at the sizes of stage bench
  local half=128 whole=256 crops=64 way folder=${PEER_FOLDER:-tools/peers}
  [ -z "$dry" ] || half=2 whole=2 crops=1
  for way in "" --compile; do
    peer 40 "peers_mae_b$way" "$folder/peer_mae_step.py" hf b $whole bf16 $way
    peer 40 "peers_beit_b$way" tools/peers/peer_beit_step.py b $half bf16 $way
    peer 40 "peers_dino_s$way" "$folder/peer_dino_step.py" s $crops bf16 $way
  done
}

stage_trace() {
  local name
  step 25 trace_mae_b mae_vit_base 256 --trace "$out/trace_mae_b.json"
  step 25 trace_dino_s dino_vit_small 64 --trace "$out/trace_dino_s.json"
  step 25 trace_mae_ti mae_vit_base 512 "${tiny[@]}" --trace "$out/trace_mae_ti.json"
  for name in mae_b dino_s mae_ti; do attempt 20 "trace_${name}_time" $helper kernels "$out/trace_$name.json"; done
}

stage_variants() {  # what a switch costs or gives, beside the same step without it
  step 20 variants_mae_b_plain mae_vit_base 256
  step 20 variants_mae_b_deterministic mae_vit_base 256 --set train.deterministic=true
  step 20 variants_dino_s_plain dino_vit_small 64
  step 20 variants_dino_s_deterministic dino_vit_small 64 --set train.deterministic=true
  precision=fp32 step 20 variants_mae_b_fp32 mae_vit_base 128
}

stage_feeding() {  # end to end: how long a step waits for its pictures
  local workers=$(($(nproc) > 4 ? $(nproc) - 2 : 2)) augment
  for augment in false true; do
    rm -rf "$out/feeding"
    attempt 45 "feeding_device_augment_$augment" "$programs/pretrain" --recipe recipes/quickstart/mae.yaml --device "$device" \
      --out "$out/feeding" --data "synthetic:species,size=64,count=$([ -n "$dry" ] && echo 256 || echo 40000)" \
      --set train.epochs=1 --set schedule.warmup_epochs=0 --set train.batch="$([ -n "$dry" ] && echo 64 || echo 1024)" \
      --set data.workers=$workers --set data.device_augment=$augment --set output.preview_images=0 --set knn.epochs=0 \
      --set output.log_steps=2
    attempt 10 "feeding_wait_$augment" $helper feeding "$out/feeding"
  done
}

for stage in $stages; do
  declare -F "stage_$stage" > /dev/null || { echo "device_check.sh: $stage is no stage" >&2; exit 2; }
  line "# $stage at $SECONDS s"
  "stage_$stage"
done
$helper table "$summary" > "$out/summary.md"
cat "$out/summary.md"
! grep -q 'FAILED\|STOPPED' "$summary"
