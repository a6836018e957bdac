#include "models/weights/rename_table.h"

#include <algorithm>
#include <string_view>

namespace previt {
namespace {

bool is_wildcard(char c) { return c == '#' || c == '*'; }

// Whether a pattern fits a name; if so, `texts` are what its wildcards stand for. A wildcard takes
// the longest text that fits.
bool fits(std::string_view pattern, std::string_view name, std::vector<std::string_view>& texts) {
  if (pattern.empty()) return name.empty();
  const char first = pattern.front();
  if (!is_wildcard(first)) {
    return name.starts_with(first) && fits(pattern.substr(1), name.substr(1), texts);
  }
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  const size_t shortest = first == '#' ? 1 : 0;
  for (size_t size = (first == '#' ? digits : name.size()) + 1; size-- > shortest;) {
    texts.push_back(name.substr(0, size));
    if (fits(pattern.substr(1), name.substr(size), texts)) return true;
    texts.pop_back();
  }
  return false;
}

std::string filled(std::string_view pattern, const std::vector<std::string_view>& texts) {
  std::string name;
  size_t used = 0;
  for (const char c : pattern) {
    if (is_wildcard(c)) {
      name += texts.at(used++);
    } else {
      name += c;
    }
  }
  return name;
}

std::string renamed(const std::vector<Rename>& rows,
                    std::string Rename::*from,
                    std::string Rename::*to,
                    const std::string& name) {
  for (const Rename& row : rows) {
    std::vector<std::string_view> texts;
    if (fits(row.*from, name, texts)) return filled(row.*to, texts);
  }
  return name;
}

}  // namespace

RenameTable RenameTable::within(const std::string& foreign, const std::string& own) const {
  RenameTable table = *this;
  for (Rename& row : table.rows_) row = {foreign + row.foreign, own + row.own};
  return table;
}

RenameTable RenameTable::operator+(const RenameTable& other) const {
  RenameTable table = *this;
  table.rows_.insert(table.rows_.end(), other.rows_.begin(), other.rows_.end());
  return table;
}

std::string RenameTable::to_own(const std::string& name) const {
  return renamed(rows_, &Rename::foreign, &Rename::own, name);
}

std::string RenameTable::to_foreign(const std::string& name) const {
  return renamed(rows_, &Rename::own, &Rename::foreign, name);
}

}  // namespace previt
