// The index of a pack in several files. Its shards stay whole.
#include <algorithm>
#include <filesystem>

#include "augment/io/pack_format.h"
#include "augment/io/pack_images.h"
#include "augment/open_dataset.h"
#include "fuzz/target.h"

namespace previt::fuzz {
namespace {

namespace fs = std::filesystem;

/// Two pictures, each in a shard of its own.
struct ShardedPack {
  ShardedPack() {
    const std::string data = scratch() + "shards_of/a";
    fs::create_directories(data);
    for (const char* name : {"rgb8.png", "grey.jpg"}) {
      put(data + "/" + name, read_whole_file(kFixtures + "images/" + name));
    }
    pack_images(
        {.data = scratch() + "shards_of", .out = path, .workers = 1, .shard_size = 1},
        [] { return false; },
        [](const PackReport&) {},
        [](const std::string&) {});
    whole = read_whole_file(path);
    unsigned_ = whole.substr(0, whole.size() - 24);  // without the trailer
  }
  const std::string path = scratch() + "sharded.h5";
  std::string whole, unsigned_;
};

const ShardedPack& sharded() {
  static const ShardedPack one;
  return one;
}

void read_sharded() {
  const auto data = open_dataset(sharded().path, Split::all);
  const auto reader = data->reader();
  for (int64_t i = 0; i < std::min<int64_t>(data->size(), 4); ++i) {
    data->name(i);
    data->label(i);
    read_image(*reader, i);
  }
}

const bool added[] = {
    add({.name = "pack_index",
         .seeds = [] { return std::vector{sharded().whole}; },
         .parse =
             [](const std::string& bytes) {
               put(sharded().path, bytes);
               read_sharded();
             },
         .inputs = 300}),
    add({.name = "pack_index_signed",  // written by someone who computes the checksum, too
         .seeds = [] { return std::vector{sharded().unsigned_}; },
         .parse =
             [](const std::string& bytes) {
               append_trailer(put(sharded().path, bytes), {});
               read_sharded();
             },
         .inputs = 300,
         .refused = 0.02}),
};

}  // namespace
}  // namespace previt::fuzz
