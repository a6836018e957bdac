#!/usr/bin/env bash
# What about a GPU can be measured in ten minutes, or in --seconds, after which it ends: stages come in the order of their
# worth, each with a time of its own, and write their lines to OUT/summary.txt as they go, so that a run may be cut off at
# any moment. What there was no time for has a line too: --stages takes it in another run. OUT/summary.md at the end is for
# docs/gpu.md.
#
#   tools/device_check.sh [--dry-run] [--device cuda] [--seconds 600] [--programs DIR] [--stages "machine tests …"] [OUT]
#   tools/device_check.sh --carry TO [--programs DIR]
#
# DIR holds pretrain and bench, and in tests/ parity_check and device_tests (default build/release). They are built
# beforehand against a LibTorch with CUDA of the machine's version; LibTorch itself is that of the machine's python3.
# --carry puts them stripped into TO, with the libraries that they need beside LibTorch and the C and C++ ones: TO is DIR
# on a machine that has none of these. OUT is $OUT or device_check. --dry-run takes the CPU and small sizes, so that no
# line here is untried, and three times the time, as others use the machine too. Peers are the scripts of tools/peers and,
# as for compare_step.py, those in $PEER_FOLDER, run by $PEER_PYTHON; the official DINO is at $DINO_DIR. It exits with 1
# where something failed, with 3 where time was over.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=cuda dry='' carry='' seconds='' programs=build/release out=${OUT:-device_check}
stages="machine tests bench trace peers same attention graph feeding variants"
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=1 device=cpu; export OMP_NUM_THREADS=1 ;;
    --device) device=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --programs) programs=$2; shift ;;
    --stages) stages=$2; shift ;;
    --carry) carry=$2; shift ;;
    -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "device_check.sh: $1 is no option" >&2; exit 2 ;;
    *) out=$1 ;;
  esac
  shift
done
programs=$(realpath -e "$programs") || exit 2
times=${dry:+3} times=${times:-1}
seconds=${seconds:-$((600 * times))}
deadline=$((seconds - 10))  # what is running then has a moment to end
ours="pretrain bench tests/parity_check tests/device_tests"

carry_to() {  # stripped programs, their libraries, and where their sources lay
  local to=$1 program library
  mkdir -p "$to/tests" "$to/lib" || exit 2
  for program in $ours; do strip -o "$to/$program" "$programs/$program" || exit 1; done
  (cd "$programs" && ldd $ours) | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -Ev '/(torch/lib|nvidia)/|/(ld-linux|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+)\.so|lib(torch|c10|cu(blas|d|f|pti|rand|s)|nv|nccl))' |
    while read -r library; do
      cp -L "$library" "$to/lib/" && strip --strip-unneeded "$to/lib/${library##*/}"
    done
  sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$programs/CMakeCache.txt" > "$to/source_folder"
  du -sh "$to" | cut -f1
}
if [ -n "$carry" ]; then carry_to "$carry"; exit; fi

mkdir -p "$out" && out=$(realpath "$out") || exit 2
summary=$out/summary.txt
: > "$summary"
helper="python3 tools/device_check.py"

# The libraries of the machine's own LibTorch, and what was carried, for our programs alone: python3 has its own.
torch=$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null)
export run="env LD_LIBRARY_PATH=$programs/lib:${torch:+$torch/lib:$(printf '%s:' "$torch"/../nvidia/*/lib)}${LD_LIBRARY_PATH:-}"

# Tests read recipes and fixtures where the sources lay when they were built.
built_in=$(cat "$programs/source_folder" 2>/dev/null)
if [ -n "$built_in" ] && [ ! -e "$built_in" ]; then mkdir -p "$(dirname "$built_in")" && ln -s "$PWD" "$built_in"; fi

line() { printf '%s\n' "$*" | tee -a "$summary"; }

last_line() { grep . "$1" | tail -n 1 | cut -c1-1000; }

left_out() {  # whether it is too late to begin something, which then has a line
  [ $((deadline - SECONDS)) -lt 5 ] && line "$1 | 0 s | left out: the $seconds s are over"
}

# attempt SECONDS NAME COMMAND…: its last line becomes a line of the summary, all of it goes to OUT/NAME.log.
attempt() {
  local limit=$(($1 * times)) left=$((deadline - SECONDS)) name=$2 begin=$SECONDS code
  shift 2
  left_out "$name" && return 1
  # timeout starts programs only: a function goes through a shell that knows it.
  [ "$(type -t "$1")" != function ] || set -- bash -c '"$@"' shell "$@"
  timeout --kill-after=5 $((limit < left ? limit : left)) "$@" > "$out/$name.log" 2>&1
  code=$?
  local used=$((SECONDS - begin))
  if [ $code = 0 ]; then line "$name | $used s | $(last_line "$out/$name.log")"
  elif [[ $code != 124 && $code != 137 ]] || [[ $used -lt $limit && $used -lt $left ]]; then
    line "$name | $used s | FAILED ($code): $(last_line "$out/$name.log")"
  elif [ $left -lt $limit ]; then line "$name | $used s | cut off: the $seconds s are over"
  else line "$name | $used s | STOPPED after its $limit s"; fi
  return $code
}

# Sizes: on a GPU those of the methods, in a dry run what a CPU does in a moment.
small=(--set model.depth=1 --set model.embed_dim=48 --set model.num_heads=3)
small_dino=(--set dino.head.out_dim=64 --set dino.head.hidden_dim=32 --set dino.head.bottleneck_dim=16 --set dino.local_crops=2)
# step SECONDS NAME RECIPE BATCH OPTIONS…
step() {
  local limit=$1 name=$2 recipe=$3 batch=$4
  shift 4
  local reduced=()
  if [ -n "$dry" ]; then
    batch=4 reduced=("${small[@]}")
    case $recipe in
      dino*) reduced+=("${small_dino[@]}") ;;
      mae*) reduced+=(--set mae.decoder.depth=1 --set mae.decoder.embed_dim=48 --set mae.decoder.num_heads=3) ;;
    esac
  fi
  attempt "$limit" "$name" $run "$programs/bench" step --recipe "recipes/imagenet/$recipe.yaml" --batch "$batch" \
    --steps "${steps:-$([ -n "$dry" ] && echo 1 || echo 10)}" --device "$device" --set "train.precision=${precision:-bf16}" \
    "$@" "${reduced[@]}"
}
tiny=(--set model.arch=vit_tiny --set 'model.image_size=[32]' --set model.patch_size=2
      --set mae.decoder.embed_dim=128 --set mae.decoder.depth=2 --set mae.decoder.num_heads=4)
tokens=(--set beit.tokenizer=colors:8192 --set beit.tokenizer_interpolation=bicubic)

absent() {  # those of these packages that the peers' Python has not
  timeout 20 "${PEER_PYTHON:-python3}" -c 'import importlib.util as u, sys; print(*[p for p in sys.argv[1:] if not u.find_spec(p)])' "$@"
}

# What the stages will do without.
missing() {
  local program package script=${PEER_FOLDER:-tools/peers}/peer_mae_step.py
  for program in $ours; do [ -x "$programs/$program" ] || echo "$programs/$program (it is built with tests)"; done
  for package in $(absent torch transformers timm torchvision); do echo "$package of ${PEER_PYTHON:-python3} (peers)"; done
  [ -f "$script" ] || echo "$script (PEER_FOLDER; peers of MAE)"
  [ -f "${DINO_DIR:-}/main_dino.py" ] || echo "a checkout of facebookresearch/dino (DINO_DIR; peers of DINO)"
}

stage_machine() {
  [ -n "$dry" ] || attempt 10 machine_gpu nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader
  attempt 10 machine_libraries $run sh -c "ldd '$programs/bench' '$programs/tests/device_tests' | grep 'not found' && exit 1; echo all libraries found"
  missing | while read -r what; do line "machine | 0 s | missing: $what"; done
}

stage_tests() {  # in a dry run a few, as ctest runs all of them
  local tags='~[programs]~[nvrtc]'  # what only compiles needs no GPU
  [ -z "$dry" ] || tags='[#test_device_augment]~[nvrtc],[#test_gpu_views]~[nvrtc],[#test_kernels]'
  attempt 30 tests_parity $run "$programs/tests/parity_check" --device "$device" tests/fixtures
  attempt 120 tests_device $run PREVIT_TEST_DEVICE="$device" "$programs/tests/device_tests" '-#' "$tags"
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
  $run "$programs/pretrain" --recipe "recipes/quickstart/$recipe.yaml" --device "$on" --out "$folder" --set train.seed=3 \
    --data synthetic:species,size=64,count=96 --set train.epochs=4 --set train.batch=16 --set train.precision=fp32 \
    --set train.matmul=fixed --set data.workers=2 --set schedule.warmup_epochs=1 --set output.log_steps=1 \
    --set output.checkpoint_epochs=1 --set output.preview_images=0 --set output.keep_last=10 --set knn.epochs=0 "$@" \
    $smaller
}
same_bytes() { cmp "$@" && echo the same bytes; }

export -f run_of same_bytes
export programs smaller

stage_same() {  # the CPU's losses in fp32; stopped and resumed, as it is and deterministic
  local recipe switch
  for recipe in mae dino; do
    smaller=
    [ -z "$dry" ] || smaller="--set model.depth=1 --set model.embed_dim=24 --set model.num_heads=2"
    [ -z "$dry" ] || [ $recipe = mae ] || smaller+=" ${small_dino[*]}"
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
      attempt 10 "same_${recipe}_bits_$switch" same_bytes "$out/same_$recipe".{whole,cut}/checkpoints/step_00000024/backbone.safetensors
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

stage_graph() {  # small models, whose launches take longer than their work; each step launched, and replayed
  local batch way
  for batch in 256 512 2048; do
    for way in off on; do
      step 20 "graph_mae_ti_${batch}_$way" mae_vit_base $batch "${tiny[@]}" --set train.cuda_graph=$way
    done
  done
  step 20 graph_mae_b_64_off mae_vit_base 64 --set train.cuda_graph=off
  step 20 graph_mae_b_64_on mae_vit_base 64 --set train.cuda_graph=on
}

# peer SECONDS NAME SCRIPT ARGUMENTS…
peer() {
  local limit=$1 name=$2 script=$3 package
  shift 3
  left_out "$name" && return
  if [ ! -f "$script" ]; then line "$name | 0 s | skipped: no $script"; return; fi
  package=$(absent torch transformers)
  if [ -n "$package" ]; then line "$name | 0 s | skipped: ${PEER_PYTHON:-python3} has no $package"; return; fi
  attempt "$limit" "$name" env PYTHONPATH="${PEER_FOLDER:-tools/peers}:${PYTHONPATH:-}" "${PEER_PYTHON:-python3}" "$script" "$@" \
    --device "$device"
}

stage_peers() {  # at the sizes of stage bench; a dry run compiles nothing
  local mae=(b 256 bf16) beit=(b 128 bf16) dino=(s 64 bf16) way
  if [ -n "$dry" ]; then
    export TORCHDYNAMO_DISABLE=1
    mae=(ti 2 bf16 --img 32 --steps 1) beit=(ti 2 bf16 --img 32 --masked 2 --steps 1)
    dino=(ti 1 bf16 --locals 1 --out-dim 64 --steps 1)
  fi
  for way in "" --compile; do
    peer 50 "peers_mae_b$way" "${PEER_FOLDER:-tools/peers}/peer_mae_step.py" hf "${mae[@]}" $way
    peer 50 "peers_beit_b$way" tools/peers/peer_beit_step.py "${beit[@]}" $way
    if [ ! -f "${DINO_DIR:-}/main_dino.py" ]; then line "peers_dino_s$way | 0 s | skipped: no DINO at DINO_DIR"; continue; fi
    peer 50 "peers_dino_s$way" tools/peers/peer_dino_step.py "${dino[@]}" $way
  done
}

stage_trace() {
  local name
  step 25 trace_mae_b mae_vit_base 256 --trace "$out/trace_mae_b.json"
  step 25 trace_dino_s dino_vit_small 64 --trace "$out/trace_dino_s.json"
  step 25 trace_mae_ti mae_vit_base 512 "${tiny[@]}" --trace "$out/trace_mae_ti.json"
  for name in mae_b dino_s mae_ti; do
    attempt 20 "trace_${name}_time" $helper kernels "$out/trace_$name.json"
    attempt 10 "trace_${name}_trials" $helper trials "$out/trace_$name.log"
  done
}

stage_variants() {  # what a switch costs or gives, beside the same step without it
  step 20 variants_mae_b_plain mae_vit_base 256
  step 20 variants_mae_b_deterministic mae_vit_base 256 --set train.deterministic=true
  step 20 variants_dino_s_plain dino_vit_small 64
  step 20 variants_dino_s_deterministic dino_vit_small 64 --set train.deterministic=true
  precision=fp32 step 20 variants_mae_b_fp32 mae_vit_base 128
}

stage_feeding() {  # end to end: how long a step waits for its pictures
  local augment sizes=(--data synthetic:species,size=64,count=20000 --set train.batch=1024)
  [ -z "$dry" ] || sizes=(--data synthetic:species,size=64,count=96 --set train.batch=16 "${small[@]}" "${small_dino[@]}")
  for augment in false true colors; do
    rm -rf "$out/feeding"
    attempt 45 "feeding_device_augment_$augment" $run "$programs/pretrain" --recipe recipes/quickstart/dino.yaml --device "$device" \
      --out "$out/feeding" --set train.epochs=1 --set schedule.warmup_epochs=0 --set data.device_augment=$augment \
      --set output.preview_images=0 --set knn.epochs=0 --set output.log_steps=2 "${sizes[@]}"
    [ ! -f "$out/feeding/metrics.jsonl" ] || attempt 10 "feeding_wait_$augment" $helper feeding "$out/feeding"
  done
}

for stage in $stages; do
  declare -F "stage_$stage" > /dev/null || { echo "device_check.sh: $stage is no stage" >&2; exit 2; }
  left_out "$stage" && continue
  line "# $stage at $SECONDS s"
  "stage_$stage"
  $helper table "$summary" > "$out/summary.md"
done
cat "$out/summary.md"
if grep -q 'FAILED\|STOPPED' "$summary"; then exit 1; fi
if grep -q 'cut off\|left out' "$summary"; then exit 3; fi
