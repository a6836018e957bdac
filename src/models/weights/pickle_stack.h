#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/weights/pickle.h"

namespace previt {

/// The values that a pickle's opcodes work on: a stack with marks, and a memo of what was kept for
/// later. Throws Error, led by `place`, if an opcode asks for what isn't there.
class PickleStack {
 public:
  PickleStack(PickleArena& arena, const std::string& place) : arena_(arena), place_(place) {}

  PickleValue& push(PickleValue::Kind kind);  ///< a new value
  PickleValue* top();
  PickleValue* pop();
  void repeat_top() { stack_.push_back(top()); }

  void mark() { marks_.push_back(stack_.size()); }
  /// Removes the last mark and all values above it, and returns these.
  std::vector<const PickleValue*> pop_to_mark();

  void remember() { remember(memo_.size()); }
  void remember(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index);

  /// A few bytes of a hostile pickle can ask for a copy of something large again and again. Throws
  /// Error if all copies together are too large.
  void count_copy(const PickleValue& made);

 private:
  PickleArena& arena_;
  const std::string& place_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, PickleValue*> memo_;
  size_t copied_ = 0;
};

}  // namespace previt
