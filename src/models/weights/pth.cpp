#include "models/weights/pth.h"

#include <torch/types.h>

#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "error.h"
#include "files.h"
#include "models/weights/pickle_tensors.h"
#include "models/weights/tensor_bytes.h"
#include "models/weights/zip.h"

namespace previt {
namespace {

using Kind = PickleValue::Kind;

// torch.serialization's MAGIC_NUMBER. It has more than 64 bits, so it is read as a real number.
constexpr double kLegacyMagic = 0x1950a86a20f9469cfc6cp0;
constexpr int kMaxArgumentDepth = 32;
constexpr int kMaxJsonValues = 100'000;  // one value of a pickle can be in many places

// --- zip: ROOT/data.pkl, ROOT/data/KEY ----------------------------------------------------------

// Called with bytes that are done with.
using Release = std::function<void(const char*, uint64_t)>;

PthFile parse_zip(const char* data,
                  uint64_t size,
                  const std::string& place,
                  const Release& release) {
  const auto entries = read_zip_directory(data, size, place);
  const auto bytes_of = [&](const std::string& path) {
    const auto it = entries.find(path);
    require(it != entries.end(), "{}: has no {}", place, path);
    const ZipEntry& entry = it->second;
    require(
        crc32(data + entry.offset, entry.size) == entry.crc32, "{}: {} is damaged", place, path);
    return std::pair<const char*, uint64_t>(data + entry.offset, entry.size);
  };
  std::string root;
  for (const auto& [path, entry] : entries) {
    if (path == "data.pkl" || path.ends_with("/data.pkl")) root = path.substr(0, path.size() - 8);
  }
  if (entries.contains(root + "byteorder")) {
    const auto [order, length] = bytes_of(root + "byteorder");
    require(std::string(order, length) == "little", "{}: written on a big-endian machine", place);
  }
  require(!entries.contains(root + "constants.pkl"),
          "{}: is a TorchScript archive; save the state_dict() of its module",
          place);
  const auto [pickle, pickle_size] = bytes_of(root + "data.pkl");

  TensorBuilder builder(place, size);
  const PickleHooks hooks = builder.hooks([&](const StorageId& id, at::Tensor& storage) {
    const auto [bytes, length] = bytes_of(root + "data/" + id.key);
    require(length == storage.nbytes(),
            "{}: data/{}: {} bytes instead of {}",
            place,
            id.key,
            length,
            storage.nbytes());
    set_bytes(storage, bytes);
    release(bytes, length);
  });
  PthFile file;
  ByteReader reader(pickle, pickle_size, place);
  file.root = &unpickle(reader, file.values, hooks);
  return file;
}

// --- pickle.dump writes the object alone. torch.save before PyTorch 1.6 writes magic, version,
// sizes of types, object, keys, then the bytes of each key.

PthFile parse_pickles(const char* data,
                      uint64_t size,
                      const std::string& place,
                      const Release& release) {
  std::map<std::string, at::Tensor> storages;
  TensorBuilder builder(place, size);
  const PickleHooks hooks =
      builder.hooks([&](const StorageId& id, at::Tensor& storage) { storages[id.key] = storage; });
  PthFile file;
  ByteReader reader(data, size, place);
  file.root = &unpickle(reader, file.values, hooks);
  if (!file.root->is(Kind::real) || file.root->real != kLegacyMagic) {
    require(storages.empty(), "{}: a pickle without the data of its tensors", place);
    return file;
  }
  // The version and the sizes of types tell nothing that is needed.
  for (int i = 0; i < 2; ++i) unpickle(reader, file.values, hooks);
  file.root = &unpickle(reader, file.values, hooks);
  const PickleValue& keys = unpickle(reader, file.values, hooks);
  for (const PickleValue* key : keys.items) {
    const auto it = storages.find(key->text);
    require(key->is(Kind::text) && it != storages.end(), "{}: data of an unknown tensor", place);
    at::Tensor& storage = it->second;
    require(reader.number<int64_t>() == storage.numel(), "{}: damaged (length of data)", place);
    const char* bytes = reader.take(storage.nbytes());
    set_bytes(storage, bytes);
    release(bytes, storage.nbytes());
    storages.erase(it);
  }
  require(storages.empty(), "{}: cut short", place);
  return file;
}

PthFile parse_file(const char* data,
                   uint64_t size,
                   const std::string& place,
                   const Release& release) {
  if (size > 4 && std::memcmp(data, "PK\3\4", 4) == 0) return parse_zip(data, size, place, release);
  require(size > 0 && data[0] == '\x80', "{}: not a file of torch.save, or damaged", place);
  return parse_pickles(data, size, place, release);
}

nlohmann::json to_json(const PickleValue& value, int depth, int& left) {
  require(depth < kMaxArgumentDepth && left > 0, "arguments in the .pth are nested too deeply");
  // A long text counts as several values.
  left -= 1 + static_cast<int>(value.text.size() / 64);
  nlohmann::json json;
  switch (value.kind) {
    case Kind::boolean:
      return value.integer != 0;
    case Kind::integer:
      return value.integer;
    case Kind::real:
      return value.real;
    case Kind::text:
      return value.text;
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
      json = nlohmann::json::array();
      for (const PickleValue* item : value.items) json.push_back(to_json(*item, depth + 1, left));
      return json;
    case Kind::dict:
    case Kind::object:
      if (value.is(Kind::object) && value.entries.empty()) return json;
      json = nlohmann::json::object();
      for (const auto& [key, item] : value.entries) {
        if (key->is(Kind::text)) json[key->text] = to_json(*item, depth + 1, left);
      }
      return json;
    default:
      return json;
  }
}

}  // namespace

PthFile read_pth(const std::string& path) {
  const MappedFile file(path);
  const auto release = [&](const char* from, uint64_t size) { file.release(from, size); };
  return parse_file(file.data(), file.size(), path, release);
}

PthFile parse_pth(const std::string& bytes, const std::string& name) {
  return parse_file(bytes.data(), bytes.size(), name, [](const char*, uint64_t) {});
}

NamedTensors tensors_in(const PickleValue& dict) {
  NamedTensors tensors;
  for (const auto& [key, value] : dict.entries) {
    if (key->is(Kind::text) && value->is(Kind::tensor)) tensors[key->text] = value->tensor;
  }
  return tensors;
}

nlohmann::json pickle_to_json(const PickleValue& value) {
  int left = kMaxJsonValues;
  return to_json(value, 0, left);
}

}  // namespace previt
