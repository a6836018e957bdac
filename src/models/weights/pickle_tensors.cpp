#include "models/weights/pickle_tensors.h"

#include <torch/types.h>

#include <cstring>
#include <set>

#include "error.h"
#include "models/weights/tensor_bytes.h"

namespace previt {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxDimensions = 64;
// Limit for the elements of all views that are larger than their storage.
constexpr int64_t kMaxExpanded = int64_t{1} << 24;

const std::map<std::string, at::ScalarType> kStorageTypes = {
    {"torch.FloatStorage", at::kFloat},
    {"torch.DoubleStorage", at::kDouble},
    {"torch.HalfStorage", at::kHalf},
    {"torch.BFloat16Storage", at::kBFloat16},
    {"torch.LongStorage", at::kLong},
    {"torch.IntStorage", at::kInt},
    {"torch.ShortStorage", at::kShort},
    {"torch.CharStorage", at::kChar},
    {"torch.ByteStorage", at::kByte},
    {"torch.BoolStorage", at::kBool},
    {"torch.UntypedStorage", at::kByte},
    {"torch.storage.UntypedStorage", at::kByte},
};
const std::map<std::string, at::ScalarType> kNumpyTypes = {
    {"f8", at::kDouble},
    {"f4", at::kFloat},
    {"f2", at::kHalf},
    {"i8", at::kLong},
    {"i4", at::kInt},
    {"i2", at::kShort},
    {"i1", at::kChar},
    {"u1", at::kByte},
    {"b1", at::kBool},
};

// Names of classes and functions: "builtins" was "__builtin__" in Python 2; "_core" is NumPy 2.
const std::set<std::string> kDicts = {
    "collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"};
const std::set<std::string> kSets = {
    "builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"};
const std::set<std::string> kNumpyScalars = {"numpy.core.multiarray.scalar",
                                             "numpy._core.multiarray.scalar"};
const std::set<std::string> kNumpyArrays = {"numpy.core.multiarray._reconstruct",
                                            "numpy._core.multiarray._reconstruct"};
constexpr const char* kNumpyArray = "numpy.ndarray";
constexpr const char* kNumpyType = "numpy.dtype";

const PickleValue* item(const PickleValue& sequence, size_t index, Kind kind) {
  if (index >= sequence.items.size() || !sequence.items[index]->is(kind)) return nullptr;
  return sequence.items[index];
}

// Non-negative whole numbers of a tuple; false if it holds anything else.
bool whole_numbers(const PickleValue* tuple, std::vector<int64_t>& numbers) {
  if (tuple == nullptr || tuple->items.size() > kMaxDimensions) return false;
  for (const PickleValue* value : tuple->items) {
    if (!value->is(Kind::integer) || value->integer < 0) return false;
    numbers.push_back(value->integer);
  }
  return true;
}

// How Python 2 carries bytes in text: one character below 256, as UTF-8, for each byte.
std::string latin1(const std::string& utf8) {
  std::string bytes;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80) {
      bytes.push_back(utf8[i]);
    } else if (i + 1 < utf8.size()) {
      bytes.push_back(
          static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f)));
    }
  }
  return bytes;
}

// The type of a numpy.dtype object; false for one that is not read. A dtype comes as dtype("f4"),
// and its state may then say that it is big-endian (set_state).
bool numpy_type(const PickleValue* value, at::ScalarType& type) {
  if (value == nullptr || value->text.rfind(kNumpyType, 0) != 0) return false;
  const auto it = kNumpyTypes.find(value->text.substr(std::strlen(kNumpyType)));
  if (it == kNumpyTypes.end()) return false;
  type = it->second;
  return true;
}

// The last element that a view reaches, or -1 if it is beyond all reason.
int64_t last_element(int64_t offset,
                     const std::vector<int64_t>& sizes,
                     const std::vector<int64_t>& strides) {
  constexpr int64_t kLimit = int64_t{1} << 60;
  // A product of two 64-bit numbers fits into 128 bits.
  __int128 last = offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    last += static_cast<__int128>(sizes[i] - 1) * strides[i];
    if (last > kLimit) return -1;
  }
  return static_cast<int64_t>(last);
}

// Product of the sizes, or -1 if it is too large.
int64_t count_elements(const std::vector<int64_t>& sizes) {
  __int128 count = 1;
  bool empty = false;
  for (const int64_t size : sizes) {
    empty = empty || size == 0;
    count *= std::max<int64_t>(size, 1);
    if (count > (int64_t{1} << 60)) return -1;
  }
  return empty ? 0 : static_cast<int64_t>(count);
}

at::Tensor tensor_of_bytes(const std::string& bytes,
                           const std::vector<int64_t>& sizes,
                           at::ScalarType type) {
  at::Tensor tensor = torch::empty(sizes, type);
  set_bytes(tensor, bytes.data());
  return tensor;
}

}  // namespace

TensorBuilder::TensorBuilder(std::string place, uint64_t file_size)
    : place_(std::move(place)), left_(file_size) {}

PickleHooks TensorBuilder::hooks(Fill fill) {
  return {.persistent = [this, fill](const PickleValue& id,
                                     PickleValue& result) { load_storage(id, result, fill); },
          .call = [this](const std::string& callee,
                         const PickleValue& arguments,
                         PickleValue& result) { call(callee, arguments, result); },
          .set_state = [this](const PickleValue& state,
                              PickleValue& result) { set_state(state, result); }};
}

void TensorBuilder::spend(uint64_t bytes) {
  require(bytes <= left_, "{}: claims more data than the file holds", place_);
  left_ -= bytes;
}

// id: ("storage", type, key, device, elements[, view of another storage]).
void TensorBuilder::load_storage(const PickleValue& id, PickleValue& result, const Fill& fill) {
  const PickleValue* type = item(id, 1, Kind::object);
  const PickleValue* key = item(id, 2, Kind::text);
  const PickleValue* elements = item(id, 4, Kind::integer);
  require(type != nullptr && key != nullptr && elements != nullptr && elements->integer >= 0,
          "{}: damaged (storage)",
          place_);
  const bool is_view = id.items.size() > 5 && !id.items[5]->is(Kind::none);
  require(!is_view, "{}: storages inside storages are not supported", place_);
  const auto known = kStorageTypes.find(type->text);
  require(known != kStorageTypes.end(), "{}: {} is not supported", place_, type->text);
  auto it = storages_.find(key->text);
  if (it == storages_.end()) {
    const uint64_t size = c10::elementSize(known->second);
    // Divided, since a product could overflow.
    require(static_cast<uint64_t>(elements->integer) <= left_ / size,
            "{}: claims more data than the file holds",
            place_);
    spend(static_cast<uint64_t>(elements->integer) * size);
    it = storages_.emplace(key->text, torch::empty({elements->integer}, known->second)).first;
    fill({key->text, type->text, elements->integer}, it->second);
  }
  require(it->second.scalar_type() == known->second, "{}: one storage of two types", place_);
  result.tensor = it->second;  // kind stays object: a storage is not a tensor yet
}

void TensorBuilder::call(const std::string& callee,
                         const PickleValue& arguments,
                         PickleValue& result) {
  const auto& items = arguments.items;
  if (callee == "torch._utils._rebuild_tensor_v2" || callee == "torch._utils._rebuild_tensor") {
    make_view(arguments, result);
  } else if (callee == "torch._tensor._rebuild_from_type_v2" && items.size() > 2 &&
             items[0]->is(Kind::object) && items[2]->is(Kind::tuple) && items[0]->text != callee) {
    call(items[0]->text, *items[2], result);  // (function, type, arguments, attributes)
  } else if ((callee == "torch._utils._rebuild_parameter" ||
              callee == "torch._utils._rebuild_parameter_with_state") &&
             item(arguments, 0, Kind::tensor) != nullptr) {
    result.kind = Kind::tensor;
    result.tensor = items[0]->tensor;
  } else if (kDicts.contains(callee)) {
    result.kind = Kind::dict;
    const PickleValue* pairs = item(arguments, 0, Kind::list);
    for (const PickleValue* pair :
         pairs == nullptr ? std::vector<const PickleValue*>() : pairs->items) {
      if (pair->items.size() == 2) result.entries.emplace_back(pair->items[0], pair->items[1]);
    }
  } else if (kSets.contains(callee) || callee == "torch.Size") {
    result.kind = callee == "torch.Size" ? Kind::tuple : Kind::set;
    if (!items.empty()) result.items = items[0]->items;
  } else if (callee == "torch.device" && item(arguments, 0, Kind::text) != nullptr) {
    result.kind = Kind::text;
    result.text = items[0]->text;
  } else if (callee == "_codecs.encode" && item(arguments, 0, Kind::text) != nullptr) {
    result.kind = Kind::bytes;
    result.text = latin1(items[0]->text);
  } else if (callee == kNumpyType && item(arguments, 0, Kind::text) != nullptr) {
    result.text = kNumpyType + items[0]->text;
  } else if (kNumpyArrays.contains(callee)) {
    result.text = kNumpyArray;
  } else if (kNumpyScalars.contains(callee)) {
    make_numpy_scalar(arguments, result);
  }
}

// (storage, offset, sizes, strides, …)
void TensorBuilder::make_view(const PickleValue& arguments, PickleValue& result) {
  const PickleValue* storage = item(arguments, 0, Kind::object);
  const PickleValue* offset = item(arguments, 1, Kind::integer);
  std::vector<int64_t> sizes, strides;
  const bool complete =
      storage != nullptr && storage->tensor.defined() && offset != nullptr &&
      offset->integer >= 0 && whole_numbers(item(arguments, 2, Kind::tuple), sizes) &&
      whole_numbers(item(arguments, 3, Kind::tuple), strides) && sizes.size() == strides.size();
  require(complete, "{}: damaged (tensor)", place_);
  const int64_t available = storage->tensor.numel();
  const int64_t count = count_elements(sizes);
  if (count > available) expanded_ += count;
  require(count >= 0 && expanded_ <= kMaxExpanded, "{}: a tensor is too large", place_);
  const int64_t last =
      count == 0 ? offset->integer - 1 : last_element(offset->integer, sizes, strides);
  require(last >= -1 && last < available && offset->integer <= available,
          "{}: a tensor reaches outside its data",
          place_);
  if (count == 0) {
    result.tensor = torch::empty(sizes, storage->tensor.options());
  } else {
    result.tensor = storage->tensor.as_strided(sizes, strides, offset->integer);
  }
  result.kind = Kind::tensor;
}

// (dtype, bytes)
void TensorBuilder::make_numpy_scalar(const PickleValue& arguments, PickleValue& result) {
  at::ScalarType type{};
  const PickleValue* bytes = item(arguments, 1, Kind::bytes);
  if (bytes == nullptr || !numpy_type(item(arguments, 0, Kind::object), type) ||
      bytes->text.size() != c10::elementSize(type)) {
    return;
  }
  const at::Tensor value = tensor_of_bytes(bytes->text, {}, type);
  const bool real = c10::isFloatingType(type);
  result.kind = real ? Kind::real : type == at::kBool ? Kind::boolean : Kind::integer;
  if (real) {
    result.real = value.item<double>();
  } else {
    result.integer = value.item<int64_t>();
  }
}

// An array's state is (version, sizes, dtype, column-major, bytes), a dtype's (version, byte order,
// …).
void TensorBuilder::set_state(const PickleValue& state, PickleValue& result) {
  if (!result.is(Kind::object) || !state.is(Kind::tuple)) return;
  if (result.text.rfind(kNumpyType, 0) == 0) {
    const PickleValue* order = item(state, 1, Kind::text);
    if (order != nullptr && order->text == ">") result.text = "numpy.big_endian";
    return;
  }
  at::ScalarType type{};
  std::vector<int64_t> sizes;
  const PickleValue* bytes = item(state, 4, Kind::bytes);
  const PickleValue* column_major = item(state, 3, Kind::boolean);
  if (result.text != kNumpyArray || bytes == nullptr || column_major == nullptr ||
      !numpy_type(item(state, 2, Kind::object), type) ||
      !whole_numbers(item(state, 1, Kind::tuple), sizes)) {
    return;
  }
  const int64_t count = count_elements(sizes);
  if (count < 0 || static_cast<uint64_t>(count) != bytes->text.size() / c10::elementSize(type) ||
      bytes->text.size() % c10::elementSize(type) != 0) {
    fail("{}: damaged (array)", place_);
  }
  spend(bytes->text.size());
  if (column_major->integer != 0) std::reverse(sizes.begin(), sizes.end());
  result.tensor = tensor_of_bytes(bytes->text, sizes, type);
  if (column_major->integer != 0) result.tensor = result.tensor.numpy_T();
  result.kind = Kind::tensor;
}

}  // namespace previt
