#include "models/weights/checkpoint.h"

#include <fcntl.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_text.h"
#include "models/weights/finite.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr const char* kBackbone = "backbone.safetensors";
constexpr const char* kTraining = "training.safetensors";
constexpr const char* kMeta = "meta.json";
constexpr const char* kTemporary = ".tmp_";

fs::path checkpoints_folder(const std::string& run_folder) {
  return fs::path(run_folder) / "checkpoints";
}

// The step in "step_00001234", or -1 for another name.
int64_t step_of(const std::string& name) {
  const std::string prefix = "step_";
  if (name.size() <= prefix.size() || name.compare(0, prefix.size(), prefix) != 0) return -1;
  int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, step);
  return error == std::errc() && stop == end ? step : -1;
}

// The checksum covers the rest of the document, which nlohmann always prints in the same way.
std::string meta_checksum(json document) {
  document.erase("checksum");
  return checksum_of(document.dump());
}

void write_files(const fs::path& folder, int64_t step, const Checkpoint& checkpoint) {
  write_safetensors(folder / kBackbone, checkpoint.backbone, checkpoint.backbone_metadata);
  write_safetensors(folder / kTraining, checkpoint.training);
  json document = {{"format", "previt checkpoint"}, {"version", 1}, {"meta", checkpoint.meta}};
  document["meta"]["step"] = step;
  escape_texts(document);  // the checksum is over what is written
  for (const char* name : {kBackbone, kTraining}) {
    document["files"][name] = {{"size", fs::file_size(folder / name)},
                               {"xxh64", checksum_of_file(folder / name)}};
  }
  document["checksum"] = meta_checksum(document);
  write_whole_file(folder / kMeta, document.dump(1));
  flush_folder(folder);
}

void rename_entry(const fs::path& from, const fs::path& to, unsigned flags = 0) {
  const int result = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
  require_system(result == 0, to.string());
}

// Puts the new folder in the place of `target`. An old one at the same step (a damaged one, done
// again after a resume) is swapped out, so that at any moment one of the two is there.
void move_into_place(const fs::path& temporary, const fs::path& target) {
  if (fs::exists(target)) {
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0)
      return;
    fs::remove_all(target);  // the file system can't swap
  }
  rename_entry(temporary, target);
}

void remove_leftovers(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind(kTemporary, 0) == 0) fs::remove_all(entry.path());
  }
}

json read_meta(const fs::path& path) {
  const json document = json_or_discarded(read_whole_file(path));
  require(document.is_object() && document.contains("checksum") &&
              document["checksum"] == meta_checksum(document),
          "{}: damaged",
          path.string());
  require(
      document.value("version", 0) == 1, "{}: written by a newer version of PreViT", path.string());
  return document;
}

void verify(const fs::path& path, const json& expected, bool bytes) {
  require(fs::is_regular_file(path), "{}: missing", path.string());
  const uint64_t size = fs::file_size(path);
  require(size == expected.at("size"),
          "{}: damaged: {} bytes instead of {}",
          path.string(),
          size,
          expected.at("size").get<uint64_t>());
  require(!bytes || checksum_of_file(path) == expected.at("xxh64").get<std::string>(),
          "{}: damaged: wrong checksum",
          path.string());
}

NamedTensors read_training(const fs::path& path, CheckpointPart part) {
  if (part == CheckpointPart::backbone) return {};
  return read_safetensors(path,
                          [&](const std::string& name) {
                            return part == CheckpointPart::all ||
                                   !name.starts_with(kOptimizerTensors);
                          })
      .tensors;
}

// A damaged checkpoint is not in doubt: loading it says what is wrong.
bool in_doubt(const fs::path& folder) {
  try {
    return read_meta(folder / kMeta).at("meta").value(kSkippedInARow, int64_t{0}) > 0;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

void save_checkpoint(const std::string& run_folder, int64_t step, const Checkpoint& checkpoint) {
  const fs::path folder = checkpoints_folder(run_folder);
  const std::string name = fmt::format("step_{:08}", step);
  const fs::path target = folder / name;
  const fs::path temporary = folder / (kTemporary + name);
  try {
    fs::create_directories(folder);
    remove_leftovers(folder);
    fs::create_directory(temporary);
    write_files(temporary, step, checkpoint);
    move_into_place(temporary, target);
    flush_folder(folder);  // only then does the new name survive a power cut
    fs::remove_all(temporary);
  } catch (const std::exception& e) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    fail("{}: not saved: {}", target.string(), e.what());
  }
}

Checkpoint load_checkpoint(const std::string& folder, CheckpointPart part) {
  const fs::path path(folder);
  require(fs::is_directory(path), "{}: no such checkpoint", folder);
  require(fs::is_regular_file(path / kMeta), "{}: missing", (path / kMeta).string());
  json meta;
  try {
    const json document = read_meta(path / kMeta);
    const json& files = document.at("files");
    verify(path / kBackbone, files.at(kBackbone), true);
    verify(path / kTraining, files.at(kTraining), part != CheckpointPart::backbone);
    meta = document.at("meta").get<json::object_t>();
  } catch (const json::exception& e) {  // the checksum is right, but we write no such content
    fail("{}: damaged: {}", (path / kMeta).string(), e.what());
  }
  auto backbone = read_safetensors(path / kBackbone);
  return {.backbone = std::move(backbone.tensors),
          .training = read_training(path / kTraining, part),
          .backbone_metadata = std::move(backbone.metadata),
          .meta = std::move(meta),
          .folder = folder};
}

std::vector<std::string> list_checkpoints(const std::string& run_folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(checkpoints_folder(run_folder), none)) {
    const int64_t step = step_of(entry.path().filename().string());
    if (step >= 0 && entry.is_directory()) found.emplace_back(step, entry.path().string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> folders;
  for (auto& [step, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

std::string not_finite(const Checkpoint& checkpoint) {
  const std::string name = not_finite(checkpoint.backbone);
  return name.empty() ? not_finite(checkpoint.training) : name;
}

Checkpoint load_latest(const std::string& run_folder,
                       std::vector<std::string>& warnings,
                       CheckpointPart part) {
  auto folders = list_checkpoints(run_folder);
  const std::string newest = folders.empty() ? "" : folders.front();
  // Checkpoints in doubt are the last resort.
  std::stable_partition(folders.begin(), folders.end(), std::not_fn(in_doubt));
  std::vector<std::string> reasons;
  for (const auto& folder : folders) {
    try {
      Checkpoint loaded = load_checkpoint(folder, part);
      const std::string broken = not_finite(loaded);
      require(broken.empty(), "{}: {} is not finite", folder, broken);
      for (const auto& reason : reasons) {
        warnings.push_back(reason + "; the checkpoint before is used");
      }
      if (in_doubt(newest)) {
        warnings.push_back(
            fmt::format("{}: was saved while steps were left out as not finite; {}",
                        newest,
                        folder == newest ? "there is none from before" : folder + " is used"));
      }
      return loaded;
    } catch (const std::exception& e) {
      reasons.emplace_back(e.what());
    }
  }
  if (!reasons.empty()) {
    fail("{}: none of its checkpoints can be used ({}); start anew with another --out",
         run_folder,
         reasons.front());
  }
  fail("{}: has no checkpoint", run_folder);
}

Checkpoint load_checkpoint_or_latest(const std::string& folder,
                                     std::vector<std::string>& warnings,
                                     CheckpointPart part) {
  return fs::exists(fs::path(folder) / kMeta) ? load_checkpoint(folder, part)
                                              : load_latest(folder, warnings, part);
}

std::string newest_undoubted(const std::string& run_folder, int64_t step) {
  for (const fs::path folder : list_checkpoints(run_folder)) {
    if (step_of(folder.filename().string()) <= step && !in_doubt(folder)) return folder;
  }
  return "";
}

namespace {

// Renamed first: an interrupted removal must not look like a damaged checkpoint.
void remove_checkpoint(const fs::path& folder) {
  const fs::path temporary = folder.parent_path() / (kTemporary + folder.filename().string());
  fs::remove_all(temporary);
  rename_entry(folder, temporary);
  fs::remove_all(temporary);
}

}  // namespace

void remove_other_checkpoints(const std::string& run_folder, int64_t step) {
  for (const fs::path folder : list_checkpoints(run_folder)) {
    if (step_of(folder.filename().string()) != step) remove_checkpoint(folder);
  }
}

void prune_checkpoints(const std::string& run_folder, const KeptCheckpoints& kept) {
  int64_t good = 0;
  const auto stays = [&](const fs::path& folder) {
    const int64_t step = step_of(folder.filename().string());
    if (step > kept.newest) return false;
    if (in_doubt(folder)) return step == kept.newest;
    const bool multiple = kept.every_steps > 0 && step % kept.every_steps == 0;
    return good++ < std::max<int64_t>(kept.last, 1) || multiple;
  };
  for (const fs::path folder : list_checkpoints(run_folder)) {
    if (!stays(folder)) remove_checkpoint(folder);
  }
}

}  // namespace previt
