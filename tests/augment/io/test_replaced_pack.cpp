// What packing does to the files of other packs.
#include <filesystem>
#include <set>

#include "augment/io/pack_images.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kImages = 6;
constexpr uint64_t kHalf = kImages / 2 * 8 * 8 * 3;  // two shards

PackReport pack_seed(const std::string& out, int seed, uint64_t shard_size = kHalf) {
  const PackOptions options{
      .data = fmt::format("synthetic:shapes,size=8,count={},val=0,seed={}", kImages, seed),
      .out = out,
      .store = PixelStore::raw,
      .workers = 1,
      .shard_size = shard_size};
  return pack_images(
      options, [] { return false; }, [](const PackReport&) {}, [](const std::string&) {});
}

/// Whether a pack is whole and what pack_seed makes.
bool holds_seed(const std::string& path, int seed) {
  const auto pack = open_dataset(path);
  const auto data =
      open_dataset(fmt::format("synthetic:shapes,size=8,count={},val=0,seed={}", kImages, seed));
  const auto packed = pack->reader(), wanted = data->reader();
  bool same = pack->size() == kImages;
  for (int64_t i = 0; same && i < kImages; ++i) {
    same = read_image(*packed, i).pixels == read_image(*wanted, i).pixels;
  }
  return same;
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

}  // namespace

TEST_CASE("through a link the pack that it leads to is replaced, and the link stays") {
  const TempFolder store, work;
  const auto pack = store.path() + "/train.h5", link = work.path() + "/l.h5";
  pack_seed(pack, 0);
  fs::create_symlink(pack, link);
  pack_seed(link, 1, 0);
  CHECK(fs::is_symlink(link));
  CHECK(names_in(store.path()) == std::set<std::string>{"train.h5"});
  CHECK(holds_seed(pack, 1));
}

TEST_CASE("replacing a copy of an index leaves the shards to the original") {
  const TempFolder folder;
  const auto pack = folder.path() + "/train.h5", copy = folder.path() + "/copy.h5";
  pack_seed(pack, 0);
  const uint64_t shard_size = GENERATE(uint64_t{0}, kHalf);
  fs::copy_file(pack, copy);
  pack_seed(copy, 1, shard_size);
  CHECK(holds_seed(copy, 1));
  CHECK(holds_seed(pack, 0));
}

TEST_CASE("shards of a pack whose index was renamed are not replaced") {
  const TempFolder folder;
  const auto pack = folder.path() + "/train.h5", kept = folder.path() + "/old.h5";
  pack_seed(pack, 0);
  fs::rename(pack, kept);
  const auto first = folder.path() + "/train-00000-of-00002.h5";
  CHECK_THROWS_WITH(
      pack_seed(pack, 1),
      first + ": exists and may belong to another pack; move it away and run this again");
  CHECK(holds_seed(kept, 0));
  CHECK(!fs::exists(pack));
  // Once they are elsewhere, the same call ends what it began.
  const TempFolder elsewhere;
  for (const char* name : {"/old.h5", "/train-00000-of-00002.h5", "/train-00001-of-00002.h5"}) {
    fs::rename(folder.path() + name, elsewhere.path() + name);
  }
  pack_seed(pack, 1);
  CHECK(holds_seed(pack, 1));
  CHECK(holds_seed(elsewhere.path() + "/old.h5", 0));
  CHECK(names_in(folder.path()).size() == 3);
}

TEST_CASE("an index that can't be written leaves the old pack whole and the new one to go on") {
  const TempFolder folder;
  const auto pack = folder.path() + "/train.h5";
  pack_seed(pack, 0);
  fs::create_directories(pack + ".partial/in the way");
  CHECK_THROWS_AS(pack_seed(pack, 1), Error);
  CHECK(holds_seed(pack, 0));
  CHECK(fs::exists(folder.path() + "/train-00001.h5"));
  fs::remove_all(pack + ".partial");
  pack_seed(pack, 1);
  CHECK(holds_seed(pack, 1));
  CHECK(names_in(folder.path()).size() == 3);
}
