#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "augment/io/hdf5.h"
#include "augment/io/pack_format.h"

namespace previt {

/// All of a pack but its images (NOTE [Packs]). It is made for tens of millions of images: about 55
/// bytes each with names of 20.
struct PackIndex {
  /// A file of pixels: the pack itself or one beside it.
  struct Shard {
    uint64_t images = 0;    ///< of all files up to and including this one
    uint64_t bytes = 0;     ///< of the file
    uint64_t checksum = 0;  ///< in its trailer
  };

  PixelStore store{};
  std::vector<uint64_t> ends{}, name_ends{};
  std::vector<int32_t> sizes{}, labels{};
  std::vector<uint8_t> splits{}, names{};
  std::vector<std::string> class_names{};
  std::vector<Shard> shards{};  ///< at least one
  ChunkTable chunks{};          ///< of a pack of one file
  std::string stem{};           ///< of the shards' names; "": the pack is one file

  size_t count() const { return ends.size(); }
  Split split(size_t i) const { return splits[i] == 0 ? Split::train : Split::val; }
  std::string name(size_t i) const;

  size_t shard_of(size_t image) const;
  size_t first_in(size_t shard) const { return shard == 0 ? 0 : shards[shard - 1].images; }
  /// Where an image begins and a shard ends in all bytes, and where a shard's own bytes begin.
  uint64_t begin(size_t image) const { return image == 0 ? 0 : ends[image - 1]; }
  uint64_t bytes_in(size_t shard) const {
    return begin(shards[shard].images) - begin(first_in(shard));
  }
};

/// Reads and checks the index of a pack of one file or several. Throws Error led by `path` if it
/// isn't a pack, is damaged or contradicts itself. Doesn't look at shards.
PackIndex read_pack_index(const std::string& path);

/// The splits that a pack has images of. Throws as read_pack_index does.
std::set<Split> read_pack_splits(const std::string& path);

/// Writes an index whose shards are in `index`; it appears under its name once it is whole and
/// `before_it_appears` has been called. Throws Error led by `path`.
void write_pack_index(const std::string& path,
                      const PackIndex& index,
                      const std::function<void()>& before_it_appears);

/// The name of a shard's file.
std::string shard_name(const PackIndex& index, size_t shard);
/// The path of a shard: beside the index or, if it isn't there, beside what the index's path leads
/// to as a link.
std::string shard_path(const std::string& index_path, const PackIndex& index, size_t shard);

/// Throws Error, led by `path`, if the open file was begun for other images or with other options.
void require_same(hid_t file, const PackInfo& info, const std::string& path);

}  // namespace previt
