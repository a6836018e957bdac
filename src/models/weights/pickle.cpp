#include "models/weights/pickle.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "error.h"
#include "models/weights/pickle_opcodes.h"
#include "models/weights/pickle_stack.h"

namespace previt {
namespace {

using Kind = PickleValue::Kind;

class Machine : PickleStack {
 public:
  Machine(ByteReader& bytes, PickleArena& arena, const PickleHooks& hooks)
      : PickleStack(arena, bytes.place()), bytes_(bytes), hooks_(hooks) {}

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
  void push_integer(int64_t value) { push(Kind::integer).integer = value; }
  void push_boolean(bool value) { push(Kind::boolean).integer = value ? 1 : 0; }

  // Two's complement, little-endian. A number that int64 can't hold becomes a real number.
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
      case kBinFloat: {  // the only big-endian number
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

  void push_class(const std::string& module, const std::string& name) {
    PickleValue& value = push(Kind::object);
    value.text = module + "." + name;
    count_copy(value);
  }

  // Stands for calling a class or function with a tuple. The hook can make a value of it.
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
        pop();  // keyword arguments
        [[fallthrough]];
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

  uint64_t line_number() { return std::strtoull(bytes_.line().c_str(), nullptr, 10); }

  bool stack(uint8_t op) {
    switch (op) {
      case kProto:
        return bytes_.number<uint8_t>(), true;
      case kFrame:
        return bytes_.number<uint64_t>(), true;
      case kMark:
        return mark(), true;
      case kPop:
        return pop(), true;
      case kPopMark:
        return pop_to_mark(), true;
      case kDup:
        return repeat_top(), true;
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
        return remember(), true;
      default:
        return false;
    }
  }

  ByteReader& bytes_;
  const PickleHooks& hooks_;
};

}  // namespace

const PickleValue* PickleValue::find(const std::string& key) const {
  const auto it = std::find_if(entries.rbegin(), entries.rend(), [&](const auto& entry) {
    return entry.first->is_text(key.c_str());
  });
  return it == entries.rend() ? nullptr : it->second;
}

const PickleValue& unpickle(ByteReader& bytes, PickleArena& arena, const PickleHooks& hooks) {
  return Machine(bytes, arena, hooks).run();
}

}  // namespace previt
