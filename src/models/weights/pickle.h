#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/weights/byte_reader.h"

namespace previt {

/// A value of a Python pickle. Nothing in a pickle is ever executed: an instance of a class that we
/// don't know is a plain `object` with the class's name and the attributes that the pickle gives
/// it.
struct PickleValue {
  enum class Kind {
    none,
    boolean,
    integer,
    real,
    text,
    bytes,
    list,
    tuple,
    set,
    dict,
    object,
    tensor
  };
  using Entries = std::vector<std::pair<const PickleValue*, const PickleValue*>>;

  Kind kind = Kind::none;
  int64_t integer = 0;  ///< boolean and integer
  double real = 0;
  std::string text;                       ///< text, bytes; for an object "module.Class"
  std::vector<const PickleValue*> items;  ///< list, tuple, set
  Entries entries;  ///< dict; attributes of an object, as of argparse.Namespace
  at::Tensor tensor;

  bool is(Kind other) const { return kind == other; }
  bool is_text(const char* value) const { return kind == Kind::text && text == value; }
  /// The last entry under this key; null if there is none.
  const PickleValue* find(const std::string& key) const;
};

/// Owns values, which point at each other in any pattern, even in circles. A deque does not move
/// them.
using PickleArena = std::deque<PickleValue>;

/// What depends on the kind of file. Each hook fills or changes `result`, or throws Error to
/// refuse.
struct PickleHooks {
  std::function<void(const PickleValue& id, PickleValue& result)> persistent;
  std::function<void(const std::string& callee, const PickleValue& arguments, PickleValue& result)>
      call;
  std::function<void(const PickleValue& state, PickleValue& result)> set_state;
};

/// Runs one pickle (protocols 0 to 5, as far as torch.save uses them) to its end and leaves the
/// reader behind it. Time and memory are bounded by the size of the input. Throws Error, led by the
/// reader's place, for a damaged pickle.
const PickleValue& unpickle(ByteReader& bytes, PickleArena& arena, const PickleHooks& hooks);

}  // namespace previt
