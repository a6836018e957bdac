#include "augment/io/pack_output.h"

#include <algorithm>
#include <filesystem>

#include "augment/io/pack_index.h"
#include "error.h"
#include "unfinished_file.h"

namespace previt {
namespace {

namespace fs = std::filesystem;

/// Of the pack of this name: an index that was copied or renamed isn't alone in needing its shards.
std::vector<std::string> shards_of(const std::string& path) {
  std::vector<std::string> found;
  try {
    const PackIndex index = read_pack_index(path);
    if (index.stem != fs::path(path).stem().string()) return found;
    for (size_t s = 0; s < index.shards.size(); ++s) {
      found.push_back(shard_path(path, index, s));
    }
  } catch (const Error&) {  // no pack: it has no shards
  }
  return found;
}

template <class T>
void append_all(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// Adds a shard's index to that of the whole pack.
void append_index(PackIndex& all, const PackIndex& shard) {
  const uint64_t bytes = all.begin(all.count()), names = all.names.size();
  for (const uint64_t end : shard.ends) all.ends.push_back(bytes + end);
  for (const uint64_t end : shard.name_ends) all.name_ends.push_back(names + end);
  append_all(all.sizes, shard.sizes);
  append_all(all.labels, shard.labels);
  append_all(all.splits, shard.splits);
  append_all(all.names, shard.names);
  all.shards.push_back(shard.shards.front());
  all.shards.back().images = all.count();
}

}  // namespace

PackOutput::PackOutput(const std::string& path, const PackInfo& info, uint64_t shard_size)
    : path_(behind_link(path)), info_(info), shard_size_(shard_size), replaced_(shards_of(path_)) {
  stem_ = fs::path(path_).stem().string();
  while (sharded() && fs::exists(own_name(done_.shards))) take_up(own_name(done_.shards));
  // Its state is known only once it is open.
  if (!sharded() || fs::exists(own_name(done_.shards) + ".partial")) writer();
}

std::string PackOutput::own_name(size_t shard) const {
  return (fs::path(path_).parent_path() / fmt::format("{}-{:05}.h5", stem_, shard)).string();
}

PackInfo PackOutput::shard_info() const {
  PackInfo info = info_;
  info.first_input = done_.inputs;
  return info;
}

/// Counts a shard that an interrupted run has finished.
void PackOutput::take_up(const std::string& shard) {
  try {
    const PackIndex index = read_pack_index(shard);
    const H5Handle file = h5_open(shard, "HDF5 error");
    require_same(file, shard_info(), shard);
    done_.inputs += h5_read_number(file, "next_input", shard);
    done_.skipped += h5_read_number(file, "skipped", shard);
    done_.bytes += index.begin(index.count());
    ++done_.shards;
  } catch (const Error& e) {
    fail("{}; delete it to begin anew", e.what());
  }
}

/// That of the file being written, which begins with this call if there is none.
PackWriter& PackOutput::writer() {
  if (!writer_ && sharded()) {
    writer_ = std::make_unique<PackWriter>(own_name(done_.shards), shard_info());
  } else if (!writer_) {
    writer_ = std::make_unique<PackWriter>(path_, info_);
  }
  return *writer_;
}

void PackOutput::close_shard() {
  writer_->finish();
  done_ = {done_.shards + 1, next_input(), skipped(), total_bytes()};
  writer_.reset();
}

void PackOutput::add(const PackedImage& image) {
  const bool full = sharded() && writer_ && writer_->images() > 0 &&
                    writer_->total_bytes() + image.bytes.size() > shard_size_;
  if (full) close_shard();
  writer().add(image);
}

void PackOutput::skip() { writer().skip(); }

void PackOutput::commit() {
  if (writer_) writer_->commit();
}

void PackOutput::finish() {
  if (sharded()) {
    finish_shards();
  } else {
    writer().finish();
  }
  if (replaced_.empty()) return;
  const auto kept = shards_of(path_);
  for (const auto& shard : replaced_) {
    std::error_code ignored;
    if (std::find(kept.begin(), kept.end(), shard) == kept.end()) fs::remove(shard, ignored);
  }
}

void PackOutput::finish_shards() {
  if (writer_) close_shard();
  PackIndex all{.store = info_.store, .class_names = info_.class_names, .stem = stem_};
  for (size_t s = 0; s < done_.shards; ++s) append_index(all, read_pack_index(own_name(s)));
  const auto final_name = [&](size_t s) {
    return (fs::path(path_).parent_path() / shard_name(all, s)).string();
  };
  for (size_t s = 0; s < done_.shards; ++s) {
    const std::string to = final_name(s);
    const bool ours = std::find(replaced_.begin(), replaced_.end(), to) != replaced_.end();
    require(ours || !fs::exists(to),
            "{}: exists and may belong to another pack; move it away and run this again",
            to);
  }
  // A disk that is too full for the index must find the shards as they were.
  write_pack_index(path_, all, [&] {
    for (size_t s = 0; s < done_.shards; ++s) fs::rename(own_name(s), final_name(s));
    flush_folder(fs::absolute(path_).parent_path().string());
  });
}

}  // namespace previt
