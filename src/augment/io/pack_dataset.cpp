#include "augment/io/pack_dataset.h"

#include <cstring>
#include <mutex>

#include "augment/io/hdf5.h"
#include "augment/io/image_decoder.h"
#include "augment/io/pack_format.h"
#include "augment/views.h"
#include "error.h"
#include "options.h"
#include "utf8.h"

namespace previt {
namespace {

std::mutex hdf5_mutex;  // the library's usual build isn't safe with several threads

/// All of a pack but its images.
struct PackIndex {
  PixelStore store{};
  std::vector<uint64_t> ends, name_ends;
  std::vector<int32_t> sizes, labels;
  std::vector<uint8_t> splits, names;
  std::vector<std::string> class_names;

  size_t count() const { return ends.size(); }
  Split split(size_t i) const { return splits[i] == 0 ? Split::train : Split::val; }
  uint64_t begin(int64_t i) const { return i == 0 ? 0 : ends[i - 1]; }
  std::string name(int64_t i) const {
    const uint64_t from = i == 0 ? 0 : name_ends[i - 1];
    return {names.begin() + from, names.begin() + name_ends[i] - 1};
  }
};

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

PackIndex read_index(const std::string& path) {
  const std::lock_guard lock(hdf5_mutex);
  h5_quiet();
  const H5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, path);
  require(
      h5_read_text(file, "format", path) == kPackFormat, "{}: not a pack of this version", path);
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
  return index;
}

/// Checks what no checksum can promise: that the index makes sense.
void check(const PackIndex& index, size_t chunks, const std::string& path) {
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
  good =
      good && end <= chunks * static_cast<uint64_t>(kPackChunk) && name_end == index.names.size();
  require(good, "{}: its index contradicts itself", path);
}

class PackDataset final : public Dataset {
 public:
  PackDataset(const std::string& path, Split split) : file_(path) {
    chunks_ = read_trailer(bytes_of(file_), path);
    index_ = read_index(path);
    check(index_, chunks_.size(), path);
    for (size_t i = 0; i < index_.count(); ++i) {
      const bool wanted = split == Split::all || split == index_.split(i);
      if (wanted) chosen_.push_back(static_cast<int64_t>(i));
    }
    require(!chosen_.empty(), "{}: has no {} images", path, name_of(split));
  }

  int64_t size() const override { return static_cast<int64_t>(chosen_.size()); }
  int64_t label(int64_t index) const override { return index_.labels[chosen_[index]]; }
  std::string name(int64_t index) const override { return index_.name(chosen_[index]); }
  std::vector<std::string> class_names() const override { return index_.class_names; }
  std::unique_ptr<SampleReader> reader() const override;

  bool raw() const { return index_.store == PixelStore::raw; }
  ImageSize image_size(int64_t index) const {
    const int64_t i = chosen_[index];
    return {index_.sizes[2 * i], index_.sizes[2 * i + 1]};
  }

  /// The sample's bytes [from, from + size). They lie in the mapped file or, if they cross from one
  /// chunk into the next, in `buffer`.
  Bytes bytes(int64_t index, uint64_t from, uint64_t size, std::vector<uint8_t>& buffer) const {
    uint64_t at = index_.begin(chosen_[index]) + from;
    const uint64_t chunk = kPackChunk;
    if (at % chunk + size <= chunk) return {address(at), size};
    buffer.resize(size);
    for (uint64_t done = 0; done < size;) {
      const uint64_t part = std::min(size - done, chunk - at % chunk);
      std::memcpy(buffer.data() + done, address(at), part);
      done += part;
      at += part;
    }
    return {buffer.data(), size};
  }

  Bytes bytes(int64_t index, std::vector<uint8_t>& buffer) const {
    const int64_t i = chosen_[index];
    return bytes(index, 0, index_.ends[i] - index_.begin(i), buffer);
  }

 private:
  const uint8_t* address(uint64_t at) const {
    return bytes_of(file_).data + chunks_[at / kPackChunk] + at % kPackChunk;
  }

  MappedFile file_;
  ChunkTable chunks_;
  PackIndex index_;
  std::vector<int64_t> chosen_;
};

class EncodedReader final : public SampleReader {
 public:
  explicit EncodedReader(const PackDataset& pack) : pack_(pack) {}
  ImageSize open(int64_t index) override {
    bytes_ = pack_.bytes(index, buffer_);
    return decoder_.open(bytes_);
  }
  std::span<const uint8_t> file() const override { return {bytes_.data, bytes_.size}; }
  void decode(const Box& box, int64_t reduction, Region& region) override {
    decoder_.decode(box, reduction, region);
  }

 private:
  const PackDataset& pack_;
  Bytes bytes_;
  std::vector<uint8_t> buffer_;
  ImageDecoder decoder_;
};

class RawReader final : public SampleReader {
 public:
  explicit RawReader(const PackDataset& pack) : pack_(pack) {}
  ImageSize open(int64_t index) override {
    index_ = index;
    return size_ = pack_.image_size(index);
  }
  void decode(const Box& box, int64_t, Region& region) override {
    const int64_t stride = size_.width * 3;
    const Bytes rows = pack_.bytes(index_,
                                   static_cast<uint64_t>(box.top * stride),
                                   static_cast<uint64_t>(box.height * stride),
                                   buffer_);
    copy_box(rows.data, stride, {0, box.left, box.height, box.width}, region);
    region.box = box;
  }

 private:
  const PackDataset& pack_;
  std::vector<uint8_t> buffer_;
  int64_t index_ = 0;
  ImageSize size_;
};

std::unique_ptr<SampleReader> PackDataset::reader() const {
  if (raw()) return std::make_unique<RawReader>(*this);
  return std::make_unique<EncodedReader>(*this);
}

}  // namespace

std::shared_ptr<Dataset> open_pack(const std::string& path, Split split) {
  return std::make_shared<PackDataset>(path, split);
}

std::set<Split> pack_splits(const std::string& path) {
  const MappedFile file(path);
  read_trailer(bytes_of(file), path);
  const auto index = read_index(path);
  std::set<Split> splits;
  for (size_t i = 0; i < index.splits.size(); ++i) splits.insert(index.split(i));
  return splits;
}

}  // namespace previt
