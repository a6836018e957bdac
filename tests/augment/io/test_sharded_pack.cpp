#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "augment/io/pack_files.h"
#include "augment/io/pack_images.h"
#include "augment/io/pack_index.h"
#include "augment/io/pack_output.h"
#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "files.h"
#include "options.h"
#include "support/catch.h"
#include "support/full_disk.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

const std::string kScenes = "synthetic:shapes,size=24,count=30,val=10";
constexpr uint64_t kThirdOfScenes = 14 * 24 * 24 * 3;  // 14 raw scenes: 40 make three shards

PackReport pack_shards(
    const PackOptions& options, const std::function<bool()>& stop = [] { return false; }) {
  return pack_images(options, stop, [](const PackReport&) {}, [](const std::string&) {});
}

PackReport pack_scenes(const std::string& out) {
  return pack_shards({.data = kScenes,
                      .out = out,
                      .store = PixelStore::raw,
                      .workers = 1,
                      .shard_size = kThirdOfScenes});
}

void check_alike(const Dataset& a, const Dataset& b) {
  REQUIRE(a.size() == b.size());
  CHECK(a.class_names() == b.class_names());
  const auto from_a = a.reader(), from_b = b.reader();
  // In steps, so that a reader goes from shard to shard.
  for (int64_t k = 0; k < a.size(); ++k) {
    const int64_t i = k * 7 % a.size();
    CHECK(read_image(*from_a, i).pixels == read_image(*from_b, i).pixels);
    CHECK(a.label(i) == b.label(i));
    CHECK(a.name(i) == b.name(i));
  }
}

std::string shard_of(const std::string& out, int shard, int shards) {
  return fmt::format("{}-{:05}-of-{:05}.h5", out.substr(0, out.size() - 3), shard, shards);
}

std::set<std::string> files_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

// The error of opening a pack and reading all of it.
std::string error_of_all(const std::string& path) {
  try {
    const auto data = open_dataset(path, Split::all);
    const auto reader = data->reader();
    for (int64_t i = 0; i < data->size(); ++i) read_image(*reader, i);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a pack in several files gives what one file gives") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5", one = folder.path() + "/one.h5";
  for (const auto store : {PixelStore::encoded, PixelStore::raw}) {
    INFO(name_of(store));
    PackOptions options{.data = kScenes, .out = one, .store = store};
    const auto whole = pack_shards(options);
    options.out = out;
    options.shard_size = whole.bytes / 3;
    const auto report = pack_shards(options);
    CHECK(report.images == 40);
    CHECK(report.bytes == whole.bytes);
    const auto shards = static_cast<int>(read_pack_index(out).shards.size());
    CHECK(shards >= 3);
    CHECK(fs::exists(shard_of(out, shards - 1, shards)));
    for (const auto split : {Split::train, Split::val, Split::all}) {
      check_alike(*open_dataset(out, split), *open_dataset(one, split));
    }
    CHECK((dataset_splits(out) == std::set{Split::train, Split::val}));
    fs::remove_all(folder.path());
    fs::create_directory(folder.path());
  }
}

TEST_CASE("the loader makes the same batches of one file and of several, by any thread") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  pack_scenes(out);
  const ViewSpec view{.height = 16, .width = 16};
  const LoaderOptions options{.batch = 10, .workers = 3, .seed = 5};
  const auto sharded = make_loader(open_dataset(out), {view}, options);
  const auto scenes = make_loader(open_dataset(kScenes), {view}, options);
  for (int i = 0; i < 6; ++i) {
    const Batch a = sharded->next(), b = scenes->next();
    CHECK(a.indices.equal(b.indices));
    CHECK(a.labels.equal(b.labels));
    CHECK(a.views[0].equal(b.views[0]));
  }
}

TEST_CASE("a shard is a pack by itself") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  pack_scenes(out);
  const auto all = open_dataset(out, Split::all);
  int64_t images = 0;
  for (int s = 0; s < 3; ++s) {
    const auto shard = open_dataset(shard_of(out, s, 3), Split::all);
    CHECK(shard->name(0) == all->name(images));
    images += shard->size();
  }
  CHECK(images == 40);
}

TEST_CASE("shards are opened when they are first read from") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  pack_scenes(out);
  // The last one is damaged where only opening it shows.
  const auto last = shard_of(out, 2, 3);
  std::fstream(last, std::ios::in | std::ios::out | std::ios::binary).seekp(600) << "damage";
  const auto data = open_dataset(out, Split::all);
  const auto reader = data->reader();
  for (int64_t i = 0; i < 28; ++i) read_image(*reader, i);
  CHECK_THROWS_WITH(read_image(*reader, 28), last + ": damaged");
  // It is no bad sample to be skipped.
  const auto source =
      make_loader(data, {ViewSpec{.height = 8, .width = 8}}, {.batch = 40, .max_bad_fraction = 1});
  CHECK_THROWS_WITH(source->next(), last + ": damaged");
}

TEST_CASE("what is wrong with a shard is one line that names it") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5", other = folder.path() + "/q.h5";
  pack_scenes(out);
  PackOptions options{.data = "synthetic:shapes,size=24,count=30,val=10,seed=1",
                      .out = other,
                      .store = PixelStore::raw,
                      .workers = 1,
                      .shard_size = kThirdOfScenes};
  pack_shards(options);
  const auto second = shard_of(out, 1, 3);
  CHECK(error_of_all(out) == "");

  fs::rename(second, folder.path() + "/kept");
  CHECK(error_of_all(out) == second + ": No such file or directory; " + out + " needs it");
  CHECK_THROWS_AS(open_dataset(out), Error);  // at once, not at its first image

  fs::copy_file(shard_of(other, 1, 3), second);
  const auto problem = error_of_all(out);
  CHECK(problem.starts_with(second + ": belongs to another pack"));

  fs::remove(second);
  fs::copy_file(folder.path() + "/kept", second);
  fs::resize_file(second, fs::file_size(second) - 1);
  CHECK(error_of_all(out) == second + ": belongs to another pack than " + out + ", or is damaged");
  fs::rename(folder.path() + "/kept", second);
  CHECK(error_of_all(out) == "");
}

TEST_CASE("an index is found under another name, through links, and where it was moved") {
  const TempFolder folder, links, moved;
  const auto out = folder.path() + "/p.h5";
  pack_scenes(out);
  fs::create_symlink(out, links.path() + "/a.h5");
  CHECK(error_of_all(links.path() + "/a.h5") == "");
  for (const auto& name : files_in(folder.path())) {
    fs::rename(folder.path() + "/" + name, moved.path() + "/" + name);
  }
  fs::rename(moved.path() + "/p.h5", moved.path() + "/renamed.h5");
  CHECK(error_of_all(moved.path() + "/renamed.h5") == "");
}

TEST_CASE("an interrupted pack of several files goes on and ends the same") {
  const TempFolder folder, whole;
  const auto out = folder.path() + "/p.h5", at_once = whole.path() + "/p.h5";
  pack_scenes(at_once);
  PackOptions options{.data = kScenes,
                      .out = out,
                      .store = PixelStore::raw,
                      .workers = 1,
                      .shard_size = kThirdOfScenes};
  int calls = 0;
  while (pack_shards(options, [] { return true; }).interrupted) {
    CHECK(!fs::exists(out));
    ++calls;
  }
  CHECK(calls >= 3);
  CHECK(files_in(folder.path()) == files_in(whole.path()));
  check_alike(*open_dataset(out, Split::all), *open_dataset(at_once, Split::all));

  // Begun for other images, it doesn't go on.
  options.out = folder.path() + "/other.h5";
  REQUIRE(pack_shards(options, [] { return true; }).interrupted);
  options.data += ",seed=1";
  CHECK_THROWS_WITH(pack_shards(options),
                    folder.path() +
                        "/other-00000.h5.partial: was begun for other images or with other "
                        "options; delete it to begin anew");
}

TEST_CASE("shards that a full disk left go on when there is room") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  const PackInfo info{.store = PixelStore::raw, .source = "test", .inputs = 90};
  const auto fill = [&] {
    PackOutput output(out, info, 3 << 20);
    for (int64_t i = output.next_input(); i < 90; ++i) {
      if (i % 30 == 29) {
        output.skip();
        continue;
      }
      PackedImage image{.height = 200, .width = 200, .name = std::to_string(i)};
      image.bytes.assign(120000, static_cast<uint8_t>(i));
      output.add(image);
      output.commit();
    }
    output.finish();
  };
  {
    const test::FullDisk disk(4 << 20);  // a limit for each file: the index fits, no shard does
    CHECK_THROWS_WITH(fill(), ContainsSubstring("p-00000.h5.partial: File too large"));
  }
  CHECK(!fs::exists(out));
  fill();
  const auto data = open_dataset(out);
  REQUIRE(data->size() == 87);
  const auto reader = data->reader();
  for (int64_t i = 0; i < 87; ++i) {
    const int number = std::stoi(data->name(i));
    CHECK(read_image(*reader, i).pixels[119999] == static_cast<uint8_t>(number));
  }
}

TEST_CASE("a pack of several files replaces another, with its shards") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  pack_scenes(out);
  PackOptions options{.data = "synthetic:shapes,size=24,count=20,val=0",
                      .out = out,
                      .store = PixelStore::raw,
                      .workers = 1,
                      .shard_size = kThirdOfScenes};
  pack_shards(options);
  CHECK((files_in(folder.path()) ==
         std::set<std::string>{"p.h5", "p-00000-of-00002.h5", "p-00001-of-00002.h5"}));
  check_alike(*open_dataset(out), *open_dataset(options.data));
  options.shard_size = 0;
  pack_shards(options);
  CHECK(files_in(folder.path()) == std::set<std::string>{"p.h5"});

  options.data = out;
  options.shard_size = kThirdOfScenes;
  CHECK_THROWS_AS(pack_shards(options), UsageError);
}

TEST_CASE("more shards than stay open are read in any order") {
  const TempFolder folder;
  const auto shard = folder.path() + "/s.h5";
  const PackInfo info{.store = PixelStore::raw, .source = "test", .inputs = 1};
  PackWriter writer(shard, info);
  writer.add({.bytes = {1, 2, 3}, .height = 1, .width = 1, .name = "a"});
  writer.finish();
  // One file stands for all shards, through links.
  const PackIndex one = read_pack_index(shard);
  PackIndex index{.store = PixelStore::raw, .stem = "p"};
  const size_t shards = PackFiles::kMostOpen + 6;
  for (size_t s = 0; s < shards; ++s) {
    index.ends.push_back(3 * (s + 1));
    index.shards.push_back({s + 1, one.shards[0].bytes, one.shards[0].checksum});
  }
  for (size_t s = 0; s < shards; ++s) {
    fs::create_symlink(shard, folder.path() + "/" + shard_name(index, s));
  }
  PackFiles files(folder.path() + "/p.h5", index);
  std::vector<uint8_t> buffer;
  const auto held = files.open(0);  // stays whole although others take its place
  for (size_t s = 0; s < shards; ++s) CHECK(files.open(s)->bytes(2, 1, buffer).data[0] == 3);
  CHECK(files.open(0) != held);
  CHECK(files.open(shards - 1) == files.open(shards - 1));
  CHECK(held->bytes(0, 1, buffer).data[0] == 1);
}
