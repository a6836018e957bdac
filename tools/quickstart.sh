#!/usr/bin/env bash
# From a fresh machine to a fine-tuned classifier, on generated scenes: builds PreViT, pretrains a
# small MAE, fine-tunes it on a few labels, trains the same network from scratch on the same
# labels, and shows both.
#   quickstart.sh [OUT]      results go to OUT (default runs/quickstart)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-runs/quickstart}
tools/setup.sh

say() { printf '\n== %s\n' "$*"; }
say "Building (a few minutes the first time)"
cmake --preset release ${PREVIT_TORCH:+-DPREVIT_TORCH="$PREVIT_TORCH"} \
  ${PREVIT_PYTHON:+-DPREVIT_PYTHON="$(command -v "$PREVIT_PYTHON")"} >/dev/null
cmake --build --preset release --target tools
bin=build/release

# Goes on with a run that was stopped. Without one, --resume would only say that there is none.
run() { # OUT COMMAND…
  local resume=()
  if [ -e "$1" ]; then resume=(--resume); fi
  "${@:2}" --out "$1" "${resume[@]}"
}

say "Pretraining on unlabelled scenes"
run "$out/pretrain" "$bin"/pretrain --recipe recipes/quickstart/mae.yaml
say "Fine-tuning on a few labels, from the pretrained weights"
run "$out/finetuned" "$bin"/finetune --from "$out/pretrain" --recipe recipes/quickstart/finetune.yaml
say "The same network, labels and budget, from scratch"
run "$out/scratch" "$bin"/finetune --from none --recipe recipes/quickstart/finetune.yaml

top1() { sed -n 's/.*"top1": *\([0-9.]*\).*/\1/p' "$1/result.json" | head -n 1; }
say "Accuracy on scenes it has not seen"
printf '  pretrained, then fine-tuned  %6.2f %%\n  from scratch                 %6.2f %%\n' \
  "$(top1 "$out/finetuned")" "$(top1 "$out/scratch")"
printf '\nReports with curves and pictures:\n  %s\n  %s\n' "$out/pretrain/report.html" "$out/finetuned/report.html"
