#include "models/weights/pickle_stack.h"

#include <cstddef>

#include "error.h"

namespace previt {
namespace {

constexpr size_t kMaxValues = 2'000'000;        // torch.save needs a few dozen per tensor
constexpr size_t kMaxCopied = size_t{1} << 28;  // bytes copied by opcodes of a byte or two

}  // namespace

PickleValue& PickleStack::push(PickleValue::Kind kind) {
  require(arena_.size() < kMaxValues, "{}: too many values in the pickle", place_);
  PickleValue& value = arena_.emplace_back();
  value.kind = kind;
  stack_.push_back(&value);
  return value;
}

PickleValue* PickleStack::top() {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  require(stack_.size() > floor, "{}: damaged pickle (nothing on the stack)", place_);
  return stack_.back();
}

PickleValue* PickleStack::pop() {
  PickleValue* value = top();
  stack_.pop_back();
  return value;
}

std::vector<const PickleValue*> PickleStack::pop_to_mark() {
  require(!marks_.empty(), "{}: damaged pickle (no mark)", place_);
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<const PickleValue*> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleStack::recall(uint64_t index) {
  const auto it = memo_.find(index);
  require(it != memo_.end(), "{}: damaged pickle (memo)", place_);
  stack_.push_back(it->second);
}

void PickleStack::count_copy(const PickleValue& made) {
  copied_ += made.text.size() + made.items.size() * sizeof(void*) +
             made.entries.size() * 2 * sizeof(void*);
  require(copied_ <= kMaxCopied, "{}: the pickle takes too much memory", place_);
}

}  // namespace previt
