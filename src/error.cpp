#include "error.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace previt {

size_t edit_distance(const std::string& a, const std::string& b) {
  // One row of Levenshtein's table; `diagonal` is the cell above and to the left.
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace previt
