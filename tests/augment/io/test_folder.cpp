#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "augment/io/folder_data.h"
#include "augment/io/folder_listing.h"
#include "augment/io/pack_images.h"
#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

const std::string kImages = std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/images/";

void touch(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << "";
}

void picture(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  fs::copy_file(kImages + "rgb8.png", path);
}

// Longer than a tick of the clock that files get their times from.
void let_time_pass() { std::this_thread::sleep_for(std::chrono::milliseconds(150)); }

std::vector<std::string> names(const Dataset& data) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < data.size(); ++i) all.push_back(data.name(i));
  return all;
}

std::vector<int64_t> labels(const Dataset& data) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.size(); ++i) all.push_back(data.label(i));
  return all;
}

using Names = std::vector<std::string>;
using Labels = std::vector<int64_t>;

}  // namespace

TEST_CASE("a flat folder has no labels") {
  const TempFolder folder;
  const auto root = folder.path();
  for (const char* name : {"b.JPG", "a.png", ".hidden.png", "notes.txt", "c.tiff", "sub/d.webp"}) {
    touch(root + "/" + name);
  }
  const auto data = open_dataset(root);
  CHECK(names(*data) == Names{"a.png", "b.JPG", "c.tiff", "sub/d.webp"});
  CHECK(labels(*data) == Labels{-1, -1, -1, -1});
  CHECK(data->class_names().empty());
  CHECK((dataset_splits(root) == std::set{Split::train}));
  CHECK_THROWS_WITH(open_dataset(root, Split::val), root + ": has no val/ or test/ folder");
}

TEST_CASE("class folders are labels") {
  const TempFolder folder;
  const auto root = folder.path();
  for (const char* name :
       {"dog/1.jpg", "cat/2.jpg", "cat/deep/3.jpg", ".cache/4.jpg", "empty/x.txt"}) {
    touch(root + "/" + name);
  }
  const auto data = open_dataset(root);
  CHECK(data->class_names() == Names{"cat", "dog"});
  CHECK(names(*data) == Names{"cat/2.jpg", "cat/deep/3.jpg", "dog/1.jpg"});
  CHECK(labels(*data) == Labels{0, 0, 1});
}

TEST_CASE("divided folders share their classes") {
  const TempFolder folder;
  const auto root = folder.path();
  for (const char* name : {"train/a/1.jpg", "train/c/2.jpg", "test/b/3.jpg", "test/c/4.jpg"}) {
    touch(root + "/" + name);
  }
  const auto train = open_dataset(root, Split::train), val = open_dataset(root, Split::val);
  CHECK(train->class_names() == Names{"a", "b", "c"});
  CHECK(val->class_names() == Names{"a", "b", "c"});
  CHECK(labels(*train) == Labels{0, 2});
  CHECK(labels(*val) == Labels{1, 2});
  const auto all = open_dataset(root, Split::all);
  CHECK(names(*all) == Names{"train/a/1.jpg", "train/c/2.jpg", "test/b/3.jpg", "test/c/4.jpg"});
  CHECK(labels(*all) == Labels{0, 2, 1, 2});
  CHECK((dataset_splits(root) == std::set{Split::train, Split::val}));

  const TempFolder flat;
  touch(flat.path() + "/val/1.jpg");
  CHECK_THROWS_WITH(open_dataset(flat.path(), Split::train),
                    flat.path() + ": has no train/ folder, only a validation split (val/)");
  CHECK(labels(*open_dataset(flat.path(), Split::val)) == Labels{-1});
}

TEST_CASE("a split without classes leaves those of the other") {
  const TempFolder folder;
  const auto root = folder.path();
  for (const char* name : {"train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/new/4.jpg"}) {
    touch(root + "/" + name);
  }
  for (const Split split : {Split::train, Split::val, Split::all}) {
    CHECK(open_dataset(root, split)->class_names() == Names{"cat", "dog"});
  }
  CHECK(labels(*open_dataset(root, Split::all)) == Labels{0, 1, -1, -1});
  CHECK(labels(*open_dataset(root, Split::val)) == Labels{-1, -1});

  const TempFolder other;
  for (const char* name : {"train/1.jpg", "val/cat/2.jpg", "val/dog/3.jpg"}) {
    touch(other.path() + "/" + name);
  }
  const auto all = open_dataset(other.path(), Split::all);
  CHECK(all->class_names() == Names{"cat", "dog"});
  CHECK(labels(*all) == Labels{-1, 0, 1});
}

TEST_CASE("pictures of kinds that aren't read are told of, also from the cache") {
  const TempFolder folder, cache;
  const auto root = folder.path() + "/photos";
  for (const char* name : {"a.jpg", "trip/IMG_2.HEIC", "trip/IMG_1.HEIC", "z.gif", "notes.txt"}) {
    touch(root + "/" + name);
  }
  let_time_pass();  // so that the listing is kept
  for (int twice = 0; twice < 2; ++twice) {
    CHECK(read_folder_data(root, Split::train, cache.path()).warnings ==
          Names{root + ": 3 pictures are of kinds that aren't read, as z.gif; convert them to JPEG "
                       "or PNG"});
  }
}

TEST_CASE("an empty folder is an error") {
  const TempFolder folder;
  CHECK_THROWS_WITH(open_dataset(folder.path()),
                    folder.path() + ": holds no images (JPEG, PNG, WebP, BMP, TIFF)");
}

TEST_CASE("links are followed, circles end") {
  const TempFolder folder, elsewhere;
  touch(elsewhere.path() + "/1.jpg");
  touch(folder.path() + "/a/2.jpg");
  fs::create_directory_symlink(elsewhere.path(), folder.path() + "/b");
  fs::create_symlink(folder.path() + "/nothing.jpg", folder.path() + "/a/dangling.jpg");
  CHECK(names(*open_dataset(folder.path())) == Names{"a/2.jpg", "b/1.jpg"});
  fs::create_directory_symlink(folder.path(), folder.path() + "/a/round");
  fs::create_directory_symlink(folder.path() + "/..", folder.path() + "/a/above");
  fs::create_directory_symlink(elsewhere.path(), folder.path() + "/c");
  fs::create_directory_symlink("../a", elsewhere.path() + "/nowhere");
  CHECK(names(*open_dataset(folder.path())) == Names{"a/2.jpg", "b/1.jpg"});
}

TEST_CASE("a folder is listed at its real path, whatever links come before it") {
  const TempFolder folder;
  touch(folder.path() + "/deep/real/1.jpg");
  fs::create_directory_symlink("deep/real", folder.path() + "/a");
  const auto listing = list_images(folder.path());
  REQUIRE(listing.size() == 1);
  CHECK(listing.path(0) == "deep/real/1.jpg");
  REQUIRE(listing.met_again().size() == 1);
  CHECK(listing.met_again()[0].path == "a");
}

TEST_CASE("ten thousand files, listed once and then taken from the cache") {
  const TempFolder folder, cache;
  const auto root = folder.path() + "/images";
  for (int c = 0; c < 20; ++c) {
    fs::create_directories(fmt::format("{}/class{:02}", root, c));
    for (int i = 0; i < 500; ++i) std::ofstream(fmt::format("{}/class{:02}/{:04}.jpg", root, c, i));
  }
  open_dataset(root, Split::train, cache.path());
  CHECK(fs::is_empty(cache.path()));  // a change within the same moment would not show
  let_time_pass();
  const auto first = open_dataset(root, Split::train, cache.path());
  REQUIRE(first->size() == 10000);
  CHECK(first->name(9999) == "class19/0499.jpg");
  CHECK(first->label(501) == 1);

  std::string file;
  for (const auto& entry : fs::directory_iterator(cache.path())) file = entry.path().string();
  FolderListing cached;
  REQUIRE(cached.load(file, root));
  CHECK(cached.size() == 10000);
  CHECK(cached.path(501) == "class01/0001.jpg");
  CHECK(names(*open_dataset(root, Split::train, cache.path())) == names(*first));

  SECTION("an archive unpacked over it is seen, which sets the old times again") {
    const auto time = fs::last_write_time(root + "/class05");
    fs::rename(root + "/class05/0007.jpg", root + "/class05/0007b.jpg");
    fs::last_write_time(root + "/class05", time);
    CHECK(!cached.load(file, root));
    CHECK(open_dataset(root, Split::train, cache.path())->name(2507) == "class05/0007b.jpg");
  }
  SECTION("another folder in its place is seen") {
    fs::rename(root + "/class05", root + "/../old");
    fs::copy(root + "/../old", root + "/class05");
    CHECK(!cached.load(file, root));
  }
  SECTION("a cache of an older version is made anew") {
    write_whole_file(file, "previt listing 1\n0\n");
    CHECK(!cached.load(file, root));
  }
  SECTION("a new file is seen") {
    std::ofstream(root + "/class03/new.jpg");
    CHECK(!cached.load(file, root));
    CHECK(open_dataset(root, Split::train, cache.path())->size() == 10001);
  }
  SECTION("a new folder is seen") {
    touch(root + "/another/1.jpg");
    CHECK(open_dataset(root, Split::train, cache.path())->class_names().size() == 21);
  }
  SECTION("a damaged cache is made anew") {
    const std::string good = read_whole_file(file);
    for (const size_t size :
         {size_t{0}, size_t{10}, size_t{40}, good.size() / 2, good.size() - 1}) {
      write_whole_file(file, good.substr(0, size));
      CHECK(open_dataset(root, Split::train, cache.path())->size() == 10000);
    }
  }
}

TEST_CASE("pictures of a folder come in batches, without the unreadable") {
  const TempFolder folder;
  for (int i = 0; i < 6; ++i) picture(fmt::format("{}/{}.png", folder.path(), i));
  touch(folder.path() + "/3.png");
  fs::resize_file(folder.path() + "/3.png", 0);
  std::ofstream(folder.path() + "/4.png") << "this is text";
  LoaderOptions options;
  options.batch = 6;
  options.shuffle = false;
  options.workers = 2;
  options.max_bad_fraction = 0.5;
  ViewSpec spec;
  spec.height = spec.width = 8;
  std::vector<std::string> log;
  const auto loader =
      make_loader(open_dataset(folder.path()), {spec}, options, [&](const std::string& line) {
        log.push_back(line);
      });
  const Batch batch = loader->next();
  CHECK(torch::equal(batch.indices, torch::tensor({0, 1, 2, 5, 5, 5}, torch::kLong)));
  CHECK(batch.labels.eq(-1).all().item<bool>());
  CHECK(log == Names{"3.png: the file is empty; skipped",
                     "4.png: not a JPEG, PNG, WebP, BMP or TIFF picture; skipped"});
  fs::remove(folder.path() + "/5.png");
  loader->seek(2, 0);
  CHECK(loader->next().indices[5].item<int64_t>() == 0);
  CHECK(log.back() == "5.png: can't be opened: No such file or directory; skipped");
}

TEST_CASE("a pack has the splits, the classes and the images of its folder") {
  const TempFolder folder;
  const std::string root = folder.path() + "/data", out = folder.path() + "/pack.h5";
  for (const char* name : {"Train/a/1.png",
                           "Train/b/2.png",
                           "Train/__MACOSX/a/1.png",
                           "valid/a/3.png",
                           "test/b/4.png"}) {
    picture(root + "/" + name);
  }
  fs::create_directories(root + "/Train/later");
  pack_images({.data = root, .out = out}, [] { return false; }, [](const auto&) {}, [](auto&) {});
  for (const Split split : {Split::train, Split::val, Split::all}) {
    const auto packed = open_dataset(out, split), data = open_dataset(root, split);
    CHECK(names(*packed) == names(*data));
    CHECK(labels(*packed) == labels(*data));
    CHECK(packed->class_names() == Names{"a", "b"});
  }
}
