#include "augment/io/pack_index.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "augment/io/hdf5_output.h"
#include "error.h"
#include "options.h"
#include "unfinished_file.h"
#include "utf8.h"

namespace previt {
namespace {

namespace fs = std::filesystem;

std::mutex hdf5_mutex;  // the library's usual build isn't safe with several threads

std::vector<std::string> split_at_zeros(const std::vector<uint8_t>& text) {
  std::vector<std::string> parts;
  std::string part;
  for (const uint8_t c : text) {
    if (c != 0) {
      part.push_back(static_cast<char>(c));
    } else {
      parts.push_back(std::exchange(part, ""));
    }
  }
  return parts;
}

void read_shards(hid_t file, PackIndex& index, const std::string& path) {
  index.stem = h5_read_text(file, "shards", path);
  const auto images = h5_read_all<uint64_t>(file, "shard_images", path);
  const auto sizes = h5_read_all<uint64_t>(file, "shard_sizes", path);
  const auto sums = h5_read_all<uint64_t>(file, "shard_sums", path);
  const bool good = !images.empty() && sizes.size() == images.size() &&
                    sums.size() == images.size() && !index.stem.empty() &&
                    index.stem.find('/') == std::string::npos;
  require(good, "{}: its index contradicts itself", path);
  for (size_t s = 0; s < images.size(); ++s) index.shards.push_back({images[s], sizes[s], sums[s]});
}

/// The trailer of a file, whose mapping is gone afterwards, and its size.
PackTrailer checked_trailer(const std::string& path, uint64_t& bytes) {
  const MappedFile file(path);
  bytes = file.size();
  return read_trailer(bytes_of(file), path);
}

/// Opens a file that must say it is a pack. Throws Error.
H5Handle open_pack_file(const std::string& path, std::string& format) {
  H5Handle file = h5_open(path, "HDF5 error");
  format = h5_read_text(file, "format", path);
  require(
      format == kPackFormat || format == kShardedFormat, "{}: not a pack of this version", path);
  return file;
}

PackIndex read_columns(const std::string& path) {
  const std::lock_guard lock(hdf5_mutex);
  std::string format;
  const H5Handle file = open_pack_file(path, format);
  PackIndex index;
  EnumField(index.store).set(h5_read_text(file, "store", path), path + ": store");
  index.ends = h5_read_all<uint64_t>(file, "offsets", path);
  index.sizes = h5_read_all<int32_t>(file, "sizes", path);
  index.labels = h5_read_all<int32_t>(file, "labels", path);
  index.splits = h5_read_all<uint8_t>(file, "splits", path);
  index.names = h5_read_all<uint8_t>(file, "names", path);
  index.name_ends = h5_read_all<uint64_t>(file, "name_ends", path);
  index.class_names = split_at_zeros(h5_read_all<uint8_t>(file, "class_names", path));
  for (auto& name : index.class_names) name = utf8_or_escaped(name);
  if (format == kShardedFormat) read_shards(file, index, path);
  return index;
}

/// Checks what no checksum can promise: that the index makes sense.
void check_index(const PackIndex& index, const std::string& path) {
  const size_t n = index.count();
  bool good = index.sizes.size() == 2 * n && index.labels.size() == n && index.splits.size() == n &&
              index.name_ends.size() == n;
  uint64_t end = 0, name_end = 0;
  for (size_t i = 0; good && i < n; ++i) {
    const int64_t pixels = int64_t{index.sizes[2 * i]} * index.sizes[2 * i + 1];
    good = index.sizes[2 * i] > 0 && pixels > 0 && index.ends[i] >= end &&
           index.name_ends[i] > name_end && index.labels[i] >= -1 &&
           index.labels[i] < std::max<int64_t>(1, static_cast<int64_t>(index.class_names.size())) &&
           (index.store != PixelStore::raw ||
            index.ends[i] - end == static_cast<uint64_t>(3 * pixels));
    end = index.ends[i];
    name_end = index.name_ends[i];
  }
  uint64_t images = 0;
  for (const auto& shard : index.shards) {
    good = good && shard.images >= images && shard.images <= n;
    images = shard.images;
  }
  good = good && images == n && name_end == index.names.size();
  require(good, "{}: its index contradicts itself", path);
}

template <class T>
void write_column(hid_t file,
                  const char* name,
                  const std::vector<T>& values,
                  const std::string& place) {
  const hsize_t count = values.size();
  const H5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, place);
  const H5Handle dataset(
      H5Dcreate2(file, name, h5_type<T>(), space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose,
      place);
  require(count == 0 ||
              H5Dwrite(dataset, h5_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
          "{}: HDF5 error",
          place);
}

void write_columns(hid_t file, const PackIndex& index, const std::string& place) {
  h5_write_text(file, "format", kShardedFormat, place);
  h5_write_text(file, "store", name_of(index.store), place);
  h5_write_text(file, "shards", index.stem, place);
  write_column(file, "offsets", index.ends, place);
  write_column(file, "sizes", index.sizes, place);
  write_column(file, "labels", index.labels, place);
  write_column(file, "splits", index.splits, place);
  write_column(file, "names", index.names, place);
  write_column(file, "name_ends", index.name_ends, place);
  std::vector<uint8_t> classes;
  for (const auto& name : index.class_names) {
    classes.insert(classes.end(), name.c_str(), name.c_str() + name.size() + 1);
  }
  write_column(file, "class_names", classes, place);
  std::vector<uint64_t> images, sizes, sums;
  for (const auto& shard : index.shards) {
    images.push_back(shard.images);
    sizes.push_back(shard.bytes);
    sums.push_back(shard.checksum);
  }
  write_column(file, "shard_images", images, place);
  write_column(file, "shard_sizes", sizes, place);
  write_column(file, "shard_sums", sums, place);
}

}  // namespace

std::string PackIndex::name(size_t i) const {
  const uint64_t from = i == 0 ? 0 : name_ends[i - 1];
  return {names.begin() + static_cast<int64_t>(from),
          names.begin() + static_cast<int64_t>(name_ends[i]) - 1};
}

size_t PackIndex::shard_of(size_t image) const {
  const auto at =
      std::upper_bound(shards.begin(), shards.end(), image, [](size_t i, const Shard& shard) {
        return i < shard.images;
      });
  return static_cast<size_t>(at - shards.begin());
}

PackIndex read_pack_index(const std::string& path) {
  uint64_t bytes = 0;
  PackTrailer trailer = checked_trailer(path, bytes);
  PackIndex index = read_columns(path);
  if (index.stem.empty()) {
    index.shards = {{index.count(), bytes, trailer.checksum}};
    index.chunks = std::move(trailer.chunks);
  }
  check_index(index, path);
  return index;
}

std::set<Split> read_pack_splits(const std::string& path) {
  uint64_t bytes = 0;
  checked_trailer(path, bytes);
  const std::lock_guard lock(hdf5_mutex);
  std::string format;
  const H5Handle file = open_pack_file(path, format);
  std::set<Split> splits;
  for (const uint8_t split : h5_read_all<uint8_t>(file, "splits", path)) {
    splits.insert(split == 0 ? Split::train : Split::val);
  }
  return splits;
}

void write_pack_index(const std::string& path,
                      const PackIndex& index,
                      const std::function<void()>& before_it_appears) {
  UnfinishedFile unfinished(path);
  const std::string& partial = unfinished.path();
  {
    const std::lock_guard lock(hdf5_mutex);
    H5Output file(partial, H5F_ACC_TRUNC, partial);
    write_columns(file, index, partial);
    file.check();
    file.close();
  }
  append_trailer(partial, {});
  before_it_appears();
  unfinished.finish();
  flush_folder(fs::absolute(path).parent_path().string());
}

std::string shard_name(const PackIndex& index, size_t shard) {
  return fmt::format("{}-{:05}-of-{:05}.h5", index.stem, shard, index.shards.size());
}

std::string shard_path(const std::string& index_path, const PackIndex& index, size_t shard) {
  if (index.stem.empty()) return index_path;
  const std::string name = shard_name(index, shard);
  const fs::path beside = fs::path(index_path).parent_path() / name;
  std::error_code none;
  if (fs::exists(beside, none)) return beside.string();
  const fs::path led_to = fs::weakly_canonical(index_path, none).parent_path() / name;
  return fs::exists(led_to, none) ? led_to.string() : beside.string();
}

void require_same(hid_t file, const PackInfo& info, const std::string& path) {
  const bool same =
      h5_read_text(file, "store", path) == name_of(info.store) &&
      h5_read_text(file, "source", path) == utf8_or_escaped(info.source) &&
      h5_read_text(file, "contents", path) == info.contents &&
      h5_read_number(file, "max_side", path) == info.max_side &&
      h5_read_number(file, "inputs", path) == info.inputs &&
      (info.first_input < 0 || h5_read_number(file, "first_input", path) == info.first_input);
  require(same, "{}: was begun for other images or with other options", path);
}

}  // namespace previt
