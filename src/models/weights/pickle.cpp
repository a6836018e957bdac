#include "models/weights/pickle.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>

#include "error.h"

namespace previt {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxValues = 2'000'000;        // torch.save needs a few dozen for a tensor
constexpr size_t kMaxCopied = size_t{1} << 28;  // bytes that opcodes of a byte or two may multiply

// Opcodes of Lib/pickle.py.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloat = 'F',
  kInt = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLong = 'L',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kShortBinString = 'U',
  kBinString = 'T',
  kUnicode = 'V',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kGet = 'g',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kPut = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

class Machine {
 public:
  Machine(ByteReader& bytes, PickleArena& arena, const PickleHooks& hooks)
      : bytes_(bytes), arena_(arena), hooks_(hooks) {}

  const PickleValue& run() {
    for (;;) {
      const auto op = bytes_.number<uint8_t>();
      if (op == kStop) return *pop();
      require(number(op) || text(op) || container(op) || object(op) || stack(op),
              "{}: pickle opcode {:#x} is not known",
              bytes_.place(),
              op);
    }
  }

 private:
  PickleValue& push(Kind kind) {
    require(arena_.size() < kMaxValues, "{}: too many values in the pickle", bytes_.place());
    PickleValue& value = arena_.emplace_back();
    value.kind = kind;
    stack_.push_back(&value);
    return value;
  }

  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  PickleValue* top() {
    require(stack_.size() > floor(), "{}: damaged pickle (nothing on the stack)", bytes_.place());
    return stack_.back();
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  // All values above the last mark, which goes too.
  std::vector<const PickleValue*> pop_to_mark() {
    require(!marks_.empty(), "{}: damaged pickle (no mark)", bytes_.place());
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_integer(int64_t value) { push(Kind::integer).integer = value; }
  void push_boolean(bool value) { push(Kind::boolean).integer = value ? 1 : 0; }

  // Two's complement, little-endian; what int64 can't hold becomes a real number.
  void push_long(uint64_t size) {
    const auto* digits = reinterpret_cast<const unsigned char*>(bytes_.take(size));
    const bool negative = size > 0 && digits[size - 1] >= 0x80;
    if (size <= 8) {
      uint64_t value = negative ? ~uint64_t{0} : 0;
      if (size > 0) std::memcpy(&value, digits, size);
      return push_integer(static_cast<int64_t>(value));
    }
    double value = negative ? -1 : 0;
    for (uint64_t i = size; i-- > 0;) value = value * 256 + digits[i];
    push(Kind::real).real = value;
  }

  void push_decimal(const std::string& line) {
    if (line == "00" || line == "01") return push_boolean(line == "01");
    char* end = nullptr;
    push_integer(std::strtoll(line.c_str(), &end, 10));
    require(end != line.c_str(), "{}: damaged pickle (number)", bytes_.place());
  }

  void push_bytes(Kind kind, uint64_t size) {
    const char* data = bytes_.take(size);
    push(kind).text.assign(data, size);
  }

  bool number(uint8_t op) {
    switch (op) {
      case kNone:
        return push(Kind::none), true;
      case kNewTrue:
        return push_boolean(true), true;
      case kNewFalse:
        return push_boolean(false), true;
      case kBinInt:
        return push_integer(bytes_.number<int32_t>()), true;
      case kBinInt1:
        return push_integer(bytes_.number<uint8_t>()), true;
      case kBinInt2:
        return push_integer(bytes_.number<uint16_t>()), true;
      case kLong1:
        return push_long(bytes_.number<uint8_t>()), true;
      case kLong4:
        return push_long(bytes_.number<uint32_t>()), true;
      case kInt:
      case kLong:
        return push_decimal(bytes_.line()), true;
      case kFloat:
        return push(Kind::real).real = std::strtod(bytes_.line().c_str(), nullptr), true;
      case kBinFloat: {  // the one big-endian number
        const auto bits = __builtin_bswap64(bytes_.number<uint64_t>());
        push(Kind::real).real = std::bit_cast<double>(bits);
        return true;
      }
      default:
        return false;
    }
  }

  bool text(uint8_t op) {
    switch (op) {
      case kShortBinString:
      case kShortBinUnicode:
        return push_bytes(Kind::text, bytes_.number<uint8_t>()), true;
      case kBinString:
      case kBinUnicode:
        return push_bytes(Kind::text, bytes_.number<uint32_t>()), true;
      case kBinUnicode8:
        return push_bytes(Kind::text, bytes_.number<uint64_t>()), true;
      case kUnicode:
        return push(Kind::text).text = bytes_.line(), true;
      case kShortBinBytes:
        return push_bytes(Kind::bytes, bytes_.number<uint8_t>()), true;
      case kBinBytes:
        return push_bytes(Kind::bytes, bytes_.number<uint32_t>()), true;
      case kBinBytes8:
      case kByteArray8:
        return push_bytes(Kind::bytes, bytes_.number<uint64_t>()), true;
      default:
        return false;
    }
  }

  void push_items(Kind kind, std::vector<const PickleValue*> items) {
    push(kind).items = std::move(items);
  }

  void push_tuple(size_t size) {
    std::vector<const PickleValue*> items(size);
    for (size_t i = size; i-- > 0;) items[i] = pop();
    push_items(Kind::tuple, std::move(items));
  }

  void append(const std::vector<const PickleValue*>& items) {
    auto& target = top()->items;
    target.insert(target.end(), items.begin(), items.end());
  }

  void set_items(PickleValue& target, const std::vector<const PickleValue*>& items) {
    require(items.size() % 2 == 0, "{}: damaged pickle (key without value)", bytes_.place());
    for (size_t i = 0; i < items.size(); i += 2)
      target.entries.emplace_back(items[i], items[i + 1]);
  }

  bool container(uint8_t op) {
    switch (op) {
      case kEmptyList:
        return push(Kind::list), true;
      case kEmptyDict:
        return push(Kind::dict), true;
      case kEmptySet:
        return push(Kind::set), true;
      case kEmptyTuple:
        return push(Kind::tuple), true;
      case kTuple1:
        return push_tuple(1), true;
      case kTuple2:
        return push_tuple(2), true;
      case kTuple3:
        return push_tuple(3), true;
      case kTuple:
        return push_items(Kind::tuple, pop_to_mark()), true;
      case kList:
        return push_items(Kind::list, pop_to_mark()), true;
      case kFrozenSet:
        return push_items(Kind::set, pop_to_mark()), true;
      case kDict: {
        const auto items = pop_to_mark();
        set_items(push(Kind::dict), items);
        return true;
      }
      case kAppend:
        return append({pop()}), true;
      case kAppends:
      case kAddItems:
        return append(pop_to_mark()), true;
      case kSetItem: {
        const PickleValue* value = pop();
        const PickleValue* key = pop();
        set_items(*top(), {key, value});
        return true;
      }
      case kSetItems: {
        const auto items = pop_to_mark();
        set_items(*top(), items);
        return true;
      }
      default:
        return false;
    }
  }

  // A few bytes of a hostile pickle can ask for a copy of something large, again and again.
  void count_copy(const PickleValue& made) {
    copied_ += made.text.size() + made.items.size() * sizeof(void*) +
               made.entries.size() * 2 * sizeof(void*);
    require(copied_ <= kMaxCopied, "{}: the pickle takes too much memory", bytes_.place());
  }

  void push_class(const std::string& module, const std::string& name) {
    PickleValue& value = push(Kind::object);
    value.text = module + "." + name;
    count_copy(value);
  }

  // A class or function called with a tuple: the hook may make something of it.
  void call() {
    const PickleValue* arguments = pop();
    const PickleValue* callee = pop();
    PickleValue& result = push(Kind::object);
    result.text = callee->text;
    if (callee->is(Kind::object) && arguments->is(Kind::tuple))
      hooks_.call(callee->text, *arguments, result);
    count_copy(result);
  }

  void build() {
    const PickleValue* state = pop();
    PickleValue& target = *top();
    if (target.is(Kind::object) && state->is(Kind::dict) && state != &target) {
      target.entries.insert(target.entries.end(), state->entries.begin(), state->entries.end());
    }
    hooks_.set_state(*state, target);
    count_copy(target);
  }

  bool object(uint8_t op) {
    switch (op) {
      case kGlobal: {
        const std::string module = bytes_.line();
        return push_class(module, bytes_.line()), true;
      }
      case kStackGlobal: {
        const PickleValue* name = pop();
        return push_class(pop()->text, name->text), true;
      }
      case kNewObjEx:
        pop();
        [[fallthrough]];  // keyword arguments
      case kNewObj:
      case kReduce:
        return call(), true;
      case kBuild:
        return build(), true;
      case kBinPersId: {
        const PickleValue* id = pop();
        return hooks_.persistent(*id, push(Kind::object)), true;
      }
      default:
        return false;
    }
  }

  void remember(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index) {
    const auto it = memo_.find(index);
    require(it != memo_.end(), "{}: damaged pickle (memo)", bytes_.place());
    stack_.push_back(it->second);
  }
  uint64_t line_number() { return std::strtoull(bytes_.line().c_str(), nullptr, 10); }

  bool stack(uint8_t op) {
    switch (op) {
      case kProto:
        return bytes_.number<uint8_t>(), true;
      case kFrame:
        return bytes_.number<uint64_t>(), true;
      case kMark:
        return marks_.push_back(stack_.size()), true;
      case kPop:
        return pop(), true;
      case kPopMark:
        return pop_to_mark(), true;
      case kDup:
        return stack_.push_back(top()), true;
      case kGet:
        return recall(line_number()), true;
      case kBinGet:
        return recall(bytes_.number<uint8_t>()), true;
      case kLongBinGet:
        return recall(bytes_.number<uint32_t>()), true;
      case kPut:
        return remember(line_number()), true;
      case kBinPut:
        return remember(bytes_.number<uint8_t>()), true;
      case kLongBinPut:
        return remember(bytes_.number<uint32_t>()), true;
      case kMemoize:
        return remember(memo_.size()), true;
      default:
        return false;
    }
  }

  ByteReader& bytes_;
  PickleArena& arena_;
  const PickleHooks& hooks_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, PickleValue*> memo_;
  size_t copied_ = 0;
};

}  // namespace

const PickleValue* PickleValue::find(const std::string& key) const {
  const auto it = std::find_if(entries.rbegin(), entries.rend(), [&](const auto& entry) {
    return entry.first->is_text(key.c_str());
  });
  return it == entries.rend() ? nullptr : it->second;
}

ByteReader::ByteReader(const char* data, uint64_t size, std::string place)
    : data_(data), size_(size), place_(std::move(place)) {}

const char* ByteReader::take(uint64_t size) {
  require(size <= left(), "{}: cut short", place_);
  const char* data = data_ + position_;
  position_ += size;
  return data;
}

template <class T>
T ByteReader::number() {
  T value;
  std::memcpy(&value, take(sizeof value), sizeof value);
  return value;
}
template uint8_t ByteReader::number();
template uint16_t ByteReader::number();
template uint32_t ByteReader::number();
template uint64_t ByteReader::number();
template int32_t ByteReader::number();
template int64_t ByteReader::number();

std::string ByteReader::line() {
  const auto* begin = data_ + position_;
  const auto* end = static_cast<const char*>(std::memchr(begin, '\n', left()));
  require(end != nullptr, "{}: cut short", place_);
  position_ += static_cast<uint64_t>(end - begin) + 1;
  return {begin, end};
}

const PickleValue& unpickle(ByteReader& bytes, PickleArena& arena, const PickleHooks& hooks) {
  return Machine(bytes, arena, hooks).run();
}

}  // namespace previt
