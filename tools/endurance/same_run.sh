# Functions that compare two runs, for scripts to source.

newest() { find "$1/checkpoints" -maxdepth 1 -name 'step_*' 2>/dev/null | sort | tail -n 1; }

# The lines of metrics.jsonl without what is about time. Older builds call top_token top_word.
lines_of() { sed -E 's/,"(images_per_second|data_wait)":[^,}]*//g; s/"top_word"/"top_token"/' "$1/metrics.jsonl"; }

same_model() {
  local a b file
  a=$(newest "$1") b=$(newest "$2")
  [[ -n $a && ${a##*/} == "${b##*/}" ]] || { echo "newest checkpoints: $a, $b"; return 1; }
  for file in backbone.safetensors training.safetensors; do
    cmp "$a/$file" "$b/$file" || return 1
  done
}

same_run() {
  same_model "$1" "$2" || return 1
  diff <(lines_of "$1") <(lines_of "$2") >"$2.diff" || { echo "$2: metrics.jsonl differs: $2.diff"; return 1; }
  rm "$2.diff"
  [[ ! -d $1/best ]] || same_model "$1/best" "$2/best" || return 1
  [[ ! -f $1/result.json ]] || cmp "$1/result.json" "$2/result.json" || return 1
  [[ -s $2/report.html ]] || { echo "$2: no report.html"; return 1; }
  [[ -z $(find "$2" -name '*.tmp' -o -name '*.partial' -o -name '.tmp_*') ]] || { echo "$2: leftovers"; return 1; }
}
