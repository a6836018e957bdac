#include "models/weights/weight_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_text.h"
#include "models/weights/pth.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 3;                      // {"model": {"state_dict": {…}}}
constexpr uint64_t kLargestHeader = 100'000'000;  // the limit of safetensors

// --- what a file is ------------------------------------------------------------------------------

// The first bytes of a file, enough to see what it is.
std::string read_start(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  require_system(file.good(), path);
  std::string start(512, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(file.gcount()));
  return start;
}

bool is_safetensors(const std::string& start) {
  uint64_t header = 0;
  if (start.size() <= sizeof header) return false;
  std::memcpy(&header, start.data(), sizeof header);
  return header <= kLargestHeader && start[sizeof header] == '{';
}

bool is_torch_save(const std::string& start) {
  return start.starts_with("PK\3\4") || start.starts_with('\x80');
}

// What people save or download instead of weights, and what to do about it.
std::string name_of(const std::string& start) {
  const size_t text = std::min(start.find_first_not_of(" \t\r\n"), start.size());
  if (start.empty()) return "is empty";
  if (start.starts_with("version https://git-lfs"))
    return "is a Git LFS pointer, not the weights; fetch them with git lfs pull";
  if (start.substr(text).starts_with('<'))
    return "is a web page, not weights; download the file itself";
  if (start.substr(text).starts_with('{')) return "is JSON, not weights; give the folder it is in";
  // Where a tar header has its magic.
  if (start.size() > 262 && start.compare(257, 5, "ustar") == 0)
    return "is a tar archive, not a file of torch.save; unpack it, or save it again with a newer "
           "PyTorch";
  for (const char* magic : {"\x1f\x8b", "BZh", "\xfd\x37zXZ", "\x28\xb5\x2f\xfd"})
    if (start.starts_with(magic)) return "is compressed; unpack it";
  if (start.starts_with("\x89HDF")) return "is an HDF5 file, not weights of PyTorch";
  return "";
}

constexpr const char* kWanted =
    "give a run folder, a checkpoint, a .safetensors, a .pth or a Hugging Face or timm folder";

// --- what it holds -------------------------------------------------------------------------------

// Collects the dicts, nested ones too, that are state_dicts of a network.
void collect(const PickleValue& value,
             const std::string& key,
             int depth,
             std::set<const PickleValue*>& seen,
             WeightFile& file) {
  // A dict can stand in several places, even in itself.
  if (depth > kMaxDepth || !seen.insert(&value).second) return;
  NamedTensors tensors = without_wrappers(tensors_in(value));
  const std::string inside = key + (key.empty() ? "" : ".");
  if (!network_prefixes(tensors).empty()) {
    file.dicts[key] = std::move(tensors);
  } else {
    for (auto& [name, tensor] : tensors) file.loose[inside + name] = std::move(tensor);
  }
  for (const auto& [name, item] : value.entries) {
    if (!name->is(PickleValue::Kind::text) || item->entries.empty()) continue;
    collect(*item, inside + name->text, depth + 1, seen, file);
  }
}

void refuse_module(const PickleValue& root, const std::string& path) {
  const PickleValue* model = root.find("model");
  for (const PickleValue* value : {&root, model}) {
    require(value == nullptr || value->find("_modules") == nullptr,
            "{}: holds a whole Python module, not its weights; save its state_dict()",
            path);
  }
}

// Arguments can be any Python objects; those that are not plain data are ignored.
json plain_data(const PickleValue* value) {
  if (value == nullptr) return nullptr;
  try {
    return pickle_to_json(*value);
  } catch (const Error&) {
    return nullptr;
  }
}

WeightFile from_pickle(const std::string& path) {
  const PthFile file = read_pth(path);
  WeightFile read{.dicts = {},
                  .metadata = {},
                  .loose = {},
                  .args = plain_data(file.root->find("args")),
                  .pickled = true};
  std::set<const PickleValue*> seen;
  collect(*file.root, "", 0, seen, read);
  if (read.dicts.empty()) refuse_module(*file.root, path);
  return read;
}

}  // namespace

WeightFile read_weight_file(const std::string& path) {
  const std::string start = read_start(path);
  if (is_safetensors(start)) {  // first, since the length of its header can look like a pickle
    SafeTensors file = read_safetensors(path);
    return {.dicts = {{"", without_wrappers(file.tensors)}},
            .metadata = std::move(file.metadata),
            .loose = {},
            .args = nullptr};
  }
  if (is_torch_save(start)) return from_pickle(path);
  const std::string known = name_of(start);
  if (known.empty()) fail("{}: holds no weights that can be read; {}", path, kWanted);
  fail("{}: {}", path, known);
}

std::map<std::string, std::vector<std::string>> files_of_index(const std::string& index) {
  const std::string text = read_whole_file(index);
  const std::string start = text.substr(0, 512);
  require(start.starts_with('{') || name_of(start).empty(), "{}: {}", index, name_of(start));
  const json parsed = json_or_discarded(text);
  require(parsed.is_object() && parsed.contains("weight_map") && parsed["weight_map"].is_object() &&
              !parsed["weight_map"].empty(),
          "{}: not an index of weights (no weight_map)",
          index);
  std::map<std::string, std::vector<std::string>> files;
  for (const auto& [name, file] : parsed["weight_map"].items()) {
    require(file.is_string(), "{}: {}: not the name of a file", index, name);
    const fs::path path = file.get<std::string>();
    const bool outside = path.empty() || path.is_absolute() ||
                         std::find(path.begin(), path.end(), "..") != path.end();
    require(!outside, "{}: {}: {} lies outside its folder", index, name, file.dump());
    files[path].push_back(name);
  }
  return files;
}

WeightFile read_sharded_weights(const std::string& index) {
  NamedTensors all;
  bool pickled = false;
  for (const auto& [file, names] : files_of_index(index)) {
    const std::string path = fs::path(index).parent_path() / file;
    std::error_code error;
    require(fs::is_regular_file(path, error), "{}: missing, but {} names it", path, index);
    const std::string start = read_start(path);
    const bool safetensors = is_safetensors(start);
    const std::string known = safetensors || is_torch_save(start) ? "" : name_of(start);
    require(known.empty(), "{}: {}", path, known);
    // A shard need not hold a whole network.
    NamedTensors shard =
        safetensors ? read_safetensors(path).tensors : tensors_in(*read_pth(path).root);
    for (const std::string& name : names) {
      auto tensor = shard.extract(name);
      require(!tensor.empty(), "{}: has no {}, which {} names", path, name, index);
      all.insert(std::move(tensor));
    }
    pickled = pickled || !safetensors;
  }
  return {.dicts = {{"", without_wrappers(all)}},
          .metadata = {},
          .loose = {},
          .args = nullptr,
          .pickled = pickled};
}

}  // namespace previt
