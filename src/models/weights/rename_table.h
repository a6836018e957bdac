#pragma once

#include <initializer_list>
#include <string>
#include <vector>

namespace previt {

/// What a code base calls a tensor, and what we call it. In both patterns `#` stands for a number
/// and `*` for any text, in the same order on both sides, as in {"encoder.layer.#.output.*",
/// "blocks.#.fc2.*"}.
struct Rename {
  std::string foreign, own;
};

/// Renames from a code base's names to ours and back. In both directions the first row that fits
/// decides; a name that no row fits stays as it is. If several rows have the same pattern of ours,
/// all of their foreign names are read, and the first is written.
class RenameTable {
 public:
  RenameTable() = default;
  RenameTable(std::initializer_list<Rename> rows) : rows_(rows) {}

  /// The rows with these prefixes before their patterns: a block's rows within the list of blocks.
  RenameTable within(const std::string& foreign, const std::string& own) const;
  /// The rows of both, these first.
  RenameTable operator+(const RenameTable& other) const;

  std::string to_own(const std::string& name) const;
  std::string to_foreign(const std::string& name) const;

 private:
  std::vector<Rename> rows_;
};

}  // namespace previt
