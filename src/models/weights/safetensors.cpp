#include "models/weights/safetensors.h"

#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "error.h"
#include "files.h"
#include "json_text.h"
#include "models/weights/tensor_bytes.h"
#include "unfinished_file.h"

namespace previt {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit

const std::map<std::string, at::ScalarType> kTypes = {
    {"F64", at::kDouble},
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
};

std::string type_name(at::ScalarType type) {
  for (const auto& [name, candidate] : kTypes) {
    if (candidate == type) return name;
  }
  fail("safetensors has no type for {}", c10::toString(type));
}

// How much of a file is read, and what becomes of its bytes.
struct Reading {
  std::function<bool(const std::string&)> wanted = {};      // tensors' names; all without it
  std::function<void(const char*, uint64_t)> release = {};  // called with bytes that are done with
};

// Bounded, so that neither the product of the sizes nor a tensor can overflow.
std::vector<int64_t> read_shape(const json& shape, uint64_t limit) {
  std::vector<int64_t> sizes;
  uint64_t elements = 1;
  for (const auto& dimension : shape) {
    const auto size = dimension.get<uint64_t>();
    if (size > limit || (elements *= std::max<uint64_t>(size, 1)) > limit) {
      throw std::runtime_error("shape is larger than the file");
    }
    sizes.push_back(static_cast<int64_t>(size));
  }
  return sizes;
}

// Where the file's tensors are read to. Query, key and value of an attention, as Hugging Face has
// them, get a third each of one tensor: joining them (split_qkv) then takes no memory and no copy.
class Places {
 public:
  explicit Places(const json& entries) : entries_(entries) {}

  at::Tensor place(const std::string& name,
                   const std::vector<int64_t>& shape,
                   at::ScalarType type) {
    const size_t dot = std::min(name.rfind('.'), name.size());
    const std::string stem = name.substr(0, dot), tail = name.substr(dot);
    for (size_t i = 0; i < kParts.size() && !shape.empty(); ++i) {
      if (!stem.ends_with(kParts[i])) continue;
      const std::string attention = stem.substr(0, stem.size() - kParts[i].size());
      if (!are_alike(attention, tail)) break;
      at::Tensor& joined = joined_[attention + tail];
      if (!joined.defined()) {
        std::vector<int64_t> rows = shape;
        rows[0] *= static_cast<int64_t>(kParts.size());
        joined = torch::empty(rows, type);
      }
      return joined.narrow(0, static_cast<int64_t>(i) * shape[0], shape[0]);
    }
    return torch::empty(shape, type);
  }

 private:
  static constexpr std::array<std::string_view, 3> kParts = {".query", ".key", ".value"};

  bool are_alike(const std::string& attention, const std::string& tail) const {
    json first;
    for (const std::string_view part : kParts) {
      const auto entry = entries_.find(attention + std::string(part) + tail);
      if (entry == entries_.end()) return false;
      const json kind = {entry->at("dtype"), entry->at("shape")};
      if (part == kParts[0]) first = kind;
      if (kind != first) return false;
    }
    return true;
  }

  const json& entries_;
  NamedTensors joined_;
};

/// `left`: bytes of the file that no tensor has taken. None are shared, so that tensors never take
/// more memory than the file.
at::Tensor read_tensor(const std::string& name,
                       const json& entry,
                       const char* data,
                       uint64_t data_size,
                       uint64_t& left,
                       Places& places,
                       const Reading& reading) {
  const auto type = kTypes.find(entry.at("dtype").get<std::string>());
  if (type == kTypes.end())
    throw std::runtime_error("type " + entry.at("dtype").dump() + " is not known");
  const auto begin = entry.at("data_offsets").at(0).get<uint64_t>();
  const auto end = entry.at("data_offsets").at(1).get<uint64_t>();
  if (begin > end || end > data_size) throw std::runtime_error("its bytes lie outside the file");
  const auto shape = read_shape(entry.at("shape"), data_size + 1);
  uint64_t bytes = c10::elementSize(type->second);
  for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  if (bytes != end - begin) throw std::runtime_error("shape and number of bytes disagree");
  if (bytes > left) throw std::runtime_error("claims more data than the file holds");
  left -= bytes;
  at::Tensor tensor = places.place(name, shape, type->second);
  set_bytes(tensor, data + begin);
  if (reading.release) reading.release(data + begin, end - begin);
  return tensor;
}

SafeTensors parse_bytes(const char* bytes,
                        uint64_t size,
                        const std::string& name,
                        const Reading& reading) {
  uint64_t header_size = 0;
  require(size >= sizeof header_size, "{}: too short for a safetensors file", name);
  std::memcpy(&header_size, bytes, sizeof header_size);
  require(header_size <= kMaxHeader && header_size <= size - sizeof header_size,
          "{}: not a safetensors file, or cut short",
          name);
  const char* header = bytes + sizeof header_size;
  const char* data = header + header_size;
  const uint64_t data_size = size - sizeof header_size - header_size;

  const json entries = json_or_discarded({header, header_size});
  require(entries.is_object(), "{}: damaged header", name);
  SafeTensors file;
  uint64_t left = data_size;
  Places places(entries);
  for (const auto& [key, entry] : entries.items()) {
    try {
      if (key == "__metadata__") {
        file.metadata = entry.get<std::map<std::string, std::string>>();
      } else if (!reading.wanted || reading.wanted(key)) {
        file.tensors[key] = read_tensor(key, entry, data, data_size, left, places, reading);
      }
    } catch (const std::exception& e) {
      fail("{}: {}: {}", name, key, e.what());
    }
  }
  return file;
}

void write_all(std::FILE* file, const void* data, size_t size, const std::string& path) {
  if (size > 0 && std::fwrite(data, 1, size, file) != size) {
    const int error = errno;
    std::fclose(file);
    fail("{}: {}", path, std::strerror(error));
  }
}

}  // namespace

SafeTensors read_safetensors(const std::string& path,
                             const std::function<bool(const std::string&)>& wanted) {
  const MappedFile file(path);
  const auto release = [&](const char* from, uint64_t size) { file.release(from, size); };
  return parse_bytes(file.data(), file.size(), path, {.wanted = wanted, .release = release});
}

SafeTensors parse_safetensors(const std::string& bytes, const std::string& name) {
  return parse_bytes(bytes.data(), bytes.size(), name, {});
}

void write_safetensors(const std::string& path,
                       const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", type_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = json_text(std::move(header));
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data stays aligned
  const uint64_t header_size = text.size();

  UnfinishedFile unfinished(path);
  std::FILE* file = std::fopen(unfinished.path().c_str(), "wb");
  require_system(file != nullptr, path);
  write_all(file, &header_size, sizeof header_size, path);
  write_all(file, text.data(), text.size(), path);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(torch::kCPU).contiguous();
    write_all(file, plain.data_ptr(), plain.nbytes(), path);
  }
  const bool flushed = std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0;
  const int error = errno;
  require(std::fclose(file) == 0 && flushed, "{}: {}", path, std::strerror(error));
  unfinished.finish();
}

}  // namespace previt
