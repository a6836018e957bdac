# Lists functions and files that are too long. The code is as clang-format leaves it: a function ends with a brace at
# the indent of its first line.
# Usage: awk -v function_lines=60 -v file_lines=300 -f lengths.awk FILE...   prints "FILE[:FUNCTION] LINES"
function finish_file() {
  if (file != "" && lines > file_lines) print file, lines
}
function indent_of(text) {
  match(text, /^ */)
  return RLENGTH
}
FNR == 1 {
  finish_file()
  file = FILENAME
  inside = 0
  head = ""
}
{ lines = FNR }
inside {
  if ($0 ~ /^ *[}]/ && indent_of($0) == indent) {
    inside = 0
    if (FNR - first >= function_lines) print file ":" name, FNR - first + 1
  }
  next
}
/^ *(#|\/\/)/ || /^$/ { next }
# The head is what stands between the end of one thing and the brace that opens the next.
{
  if (head == "") {
    first = FNR
    indent = indent_of($0)
  }
  head = head " " $0
}
/[{] *(\/\/.*)?$/ {
  if (head ~ /[(]/ && head !~ /^ *(namespace|class|struct|union|enum|extern) / && head !~ /= *[{]/) {
    inside = 1
    name = head
    sub(/[(].*/, "", name)
    sub(/^.*[ *&]/, "", name)
  }
  head = ""
}
/[;}] *(\/\/.*)?$/ || /^ *(public|private|protected):$/ { head = "" }
END { finish_file() }
