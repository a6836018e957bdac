#!/usr/bin/env bash
# Shows that a change of the code changed no number. Two builds train MAE, DINO, iBOT, BEiT and a
# classifier from one seed, in fp32 and bf16. They must log the same losses and keep the same
# weights, bit for bit. The new build also goes on with a run in which the old one was killed.
#   same_losses.sh OLD NEW     two folders of programs, for example of a worktree's build/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $# == 2 ]] || { sed -n '5s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
source tools/endurance/same_run.sh
old=$(realpath "$1") new=$(realpath "$2")
work=$(mktemp -d)
export OMP_NUM_THREADS=1

short=(--device cpu --data synthetic:species,size=32,count=64,val=16 --set 'model.image_size=[32]'
       --set model.patch_size=4 --set model.embed_dim=48 --set model.depth=3 --set model.num_heads=3
       --set train.epochs=6 --set train.batch=16 --set train.threads=1 --set data.workers=2
       --set schedule.warmup_epochs=1 --set output.log_steps=1 --set output.preview_images=0
       --set output.checkpoint_epochs=0.5)
declare -A method=(
  [mae]="pretrain --recipe recipes/quickstart/mae.yaml --set mae.decoder.embed_dim=24 --set mae.decoder.depth=1"
  [dino]="pretrain --recipe recipes/quickstart/dino.yaml --set dino.head.out_dim=64 --set knn.epochs=0"
  [ibot]="pretrain --recipe recipes/imagenet/ibot_vit_small.yaml --set ibot.head.out_dim=64 --set ibot.patch_out_dim=64
          --set ibot.head.hidden_dim=64 --set ibot.local_crops=2 --set augment.local.height=16 --set augment.local.width=16"
  [beit]="pretrain --recipe recipes/quickstart/beit.yaml --set beit.tokenizer=$work/tokenizer --set knn.epochs=0
          --set beit.masked_patches=24 --set beit.block.min_patches=4"
  [finetune]="finetune --from none --recipe recipes/quickstart/finetune.yaml")

# Runs that measure which library is the fastest may round differently. Builds before that had the fixed ones.
fixed() {
  local recipe
  recipe=$("$1"/pretrain --recipe recipes/quickstart/mae.yaml --print-recipe)
  if grep -q ' matmul:' <<<"$recipe"; then echo --set train.matmul=fixed; fi
}
# run BIN NAME PRECISION OUT: what it prints goes to OUT.log.
run() {
  "$1"/${method[$2]} "${short[@]}" $(fixed "$1") --set train.precision="$3" --out "$4" --resume >>"$4.log" 2>&1
}
same() { same_run "$1" "$2" >&2 || { echo "see $1, $2" >&2; exit 1; }; }

"$old"/train_tokenizer --recipe recipes/quickstart/tokenizer.yaml --device cpu --set train.epochs=1 \
  --data synthetic:species,size=32,count=64,val=0 --set 'model.image_size=[32]' --set model.patch_size=4 \
  --set vqvae.network.width=16 --set vqvae.codebook.codes=32 --out "$work/tokenizer" >"$work/tokenizer.log" 2>&1 ||
  { tail -n 1 "$work/tokenizer.log" >&2; exit 1; }

for name in mae dino ibot beit finetune; do
  for precision in fp32 bf16; do
    a=$work/$name.$precision.old b=$work/$name.$precision.new c=$work/$name.$precision.continued
    run "$old" $name $precision "$a" || { tail -n 1 "$a.log" >&2; exit 1; }
    run "$new" $name $precision "$b" || { tail -n 1 "$b.log" >&2; exit 1; }
    same "$a" "$b"
    { run "$old" $name $precision "$c" & } 2>/dev/null  # so that the shell reports no kill
    pid=$!
    until compgen -G "$c/checkpoints/step_*" >/dev/null || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
    pkill -KILL -P $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    kept=$(newest "$c")
    run "$new" $name $precision "$c" || { tail -n 1 "$c.log" >&2; exit 1; }
    same "$a" "$c"
    echo "$name $precision: $(lines_of "$a" | grep -c '"loss"') losses and the weights are the same; also continued from ${kept##*/}"
  done
done
rm -rf "$work"
