#include "augment/io/pack_dataset.h"

#include <cstdint>

#include "augment/io/image_decoder.h"
#include "augment/io/pack_files.h"
#include "augment/views.h"
#include "error.h"
#include "options.h"

namespace previt {
namespace {

/// A file of pixels that a reader reads from, and what of it had to be put together.
struct Held {
  size_t shard = SIZE_MAX;
  std::shared_ptr<const PackFile> file;
  std::vector<uint8_t> buffer;
};

class PackDataset final : public Dataset {
 public:
  PackDataset(const std::string& path, Split split)
      : index_(read_pack_index(path)), files_(path, index_) {
    const auto wanted = [&](size_t i) { return split == Split::all || split == index_.split(i); };
    size_t last = 0;
    for (size_t i = 0; i < index_.count(); ++i) {
      if (!wanted(i)) continue;
      first_ = size_ == 0 ? i : first_;
      last = i;
      ++size_;
    }
    require(size_ > 0, "{}: has no {} images", path, name_of(split));
    if (!raw()) std::vector<int32_t>().swap(index_.sizes);  // image files tell their own
    if (last - first_ + 1 == size_) return;
    for (size_t i = first_; i <= last; ++i) {
      if (wanted(i)) chosen_.push_back(i);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(size_); }
  int64_t label(int64_t index) const override { return index_.labels[in_pack(index)]; }
  std::string name(int64_t index) const override { return index_.name(in_pack(index)); }
  std::vector<std::string> class_names() const override { return index_.class_names; }
  std::unique_ptr<SampleReader> reader() const override;

  bool raw() const { return index_.store == PixelStore::raw; }
  ImageSize image_size(int64_t index) const {
    const size_t i = in_pack(index);
    return {index_.sizes[2 * i], index_.sizes[2 * i + 1]};
  }

  /// The sample's bytes [from, from + size), valid until `held` is used again.
  Bytes bytes(int64_t index, uint64_t from, uint64_t size, Held& held) const {
    const size_t i = in_pack(index), shard = index_.shard_of(i);
    if (held.shard != shard) {
      held.file = files_.open(shard);
      held.shard = shard;
    }
    const uint64_t in_shard = index_.begin(i) - index_.begin(index_.first_in(shard));
    return held.file->bytes(in_shard + from, size, held.buffer);
  }

  Bytes bytes(int64_t index, Held& held) const {
    const size_t i = in_pack(index);
    return bytes(index, 0, index_.ends[i] - index_.begin(i), held);
  }

 private:
  size_t in_pack(int64_t index) const {
    const auto i = static_cast<size_t>(index);
    return chosen_.empty() ? first_ + i : chosen_[i];
  }

  PackIndex index_;
  mutable PackFiles files_;
  size_t first_ = 0, size_ = 0;
  std::vector<size_t> chosen_;  // empty if they are all from first_ on
};

class EncodedReader final : public SampleReader {
 public:
  explicit EncodedReader(const PackDataset& pack) : pack_(pack) {}
  ImageSize open(int64_t index) override {
    bytes_ = pack_.bytes(index, held_);
    return decoder_.open(bytes_);
  }
  std::span<const uint8_t> file() const override { return {bytes_.data, bytes_.size}; }
  void decode(const Box& box, int64_t reduction, Region& region) override {
    decoder_.decode(box, reduction, region);
  }

 private:
  const PackDataset& pack_;
  Bytes bytes_;
  Held held_;
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
                                   held_);
    copy_box(rows.data, stride, {0, box.left, box.height, box.width}, region);
    region.box = box;
  }

 private:
  const PackDataset& pack_;
  Held held_;
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

std::set<Split> pack_splits(const std::string& path) { return read_pack_splits(path); }

}  // namespace previt
