#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "augment/io/pack_images.h"
#include "augment/io/pack_writer.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "files.h"
#include "options.h"
#include "random.h"
#include "support/catch.h"
#include "support/full_disk.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

const std::string kImages = std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/images/";

/// train/{a,b} and val/{b} with pictures of several formats, and one that is none.
void make_images(const std::string& root) {
  const auto put = [&](const char* from, const char* to) {
    fs::create_directories(fs::path(root + "/" + to).parent_path());
    fs::copy_file(kImages + from, root + "/" + to);
  };
  put("rgb8.png", "train/a/1.png");
  put("orient6.jpg", "train/a/2.jpg");
  put("lossless.webp", "train/b/3.webp");
  put("grey.jpg", "val/b/4.jpg");
  std::ofstream(root + "/train/b/bad.jpg") << "no picture";
}

PackReport pack(
    const PackOptions& options,
    const std::function<bool()>& stop = [] { return false; },
    std::vector<std::string>* log = nullptr) {
  return pack_images(
      options,
      stop,
      [](const PackReport&) {},
      [&](const std::string& line) {
        if (log != nullptr) log->push_back(line);
      });
}

void check_same(const Dataset& a, const Dataset& b, int64_t b_first = 0) {
  const auto from_a = a.reader(), from_b = b.reader();
  for (int64_t i = 0; i < a.size(); ++i) {
    const Image x = read_image(*from_a, i), y = read_image(*from_b, i + b_first);
    CHECK(x.height == y.height);
    CHECK(x.pixels == y.pixels);
    CHECK(a.label(i) == b.label(i + b_first));
    CHECK(a.name(i) == b.name(i + b_first));
  }
}

std::string error_of(const std::string& path) {
  try {
    const auto data = open_dataset(path, Split::all);
    const auto reader = data->reader();
    for (int64_t i = 0; i < data->size(); ++i) {
      data->name(i);
      try {
        read_image(*reader, i);
      } catch (const Error&) {  // one bad picture
      }
    }
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a pack gives what the folder gives") {
  const TempFolder folder;
  const auto root = folder.path() + "/images", out = folder.path() + "/p.h5";
  make_images(root);
  for (const auto store : {PixelStore::encoded, PixelStore::raw}) {
    INFO(name_of(store));
    std::vector<std::string> log;
    const auto report = pack(
        {.data = root, .out = out, .store = store, .max_bad_fraction = 0.2},
        [] { return false; },
        &log);
    CHECK(report.images == 4);
    CHECK(report.skipped == 1);
    CHECK(log == std::vector<std::string>{
                     "train/b/bad.jpg: not a JPEG, PNG, WebP, BMP or TIFF picture; skipped"});
    CHECK(!fs::exists(out + ".partial"));

    const auto train = open_dataset(out, Split::train), val = open_dataset(out, Split::val);
    CHECK(train->size() == 3);
    CHECK(val->size() == 1);
    CHECK(train->class_names() == std::vector<std::string>{"a", "b"});
    CHECK((dataset_splits(out) == std::set{Split::train, Split::val}));
    fs::remove(root + "/train/b/bad.jpg");
    check_same(*train, *open_dataset(root, Split::train));
    check_same(*val, *open_dataset(root, Split::val));
    std::ofstream(root + "/train/b/bad.jpg") << "no picture";
    fs::remove(out);
  }
}

TEST_CASE("max_side shrinks what is larger") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  for (const auto store : {PixelStore::encoded, PixelStore::raw}) {
    pack({.data = "synthetic:shapes,size=96,count=6,val=0",
          .out = out,
          .store = store,
          .max_side = 40});
    const auto data = open_dataset(out);
    REQUIRE(data->size() == 6);
    const auto reader = data->reader();
    const Image image = read_image(*reader, 5);
    CHECK(image.height == 40);
    CHECK(image.width == 40);
    CHECK(data->label(5) == 5);
    fs::remove(out);
  }
}

TEST_CASE("an interrupted pack goes on and ends the same") {
  const TempFolder folder;
  const auto whole = folder.path() + "/whole.h5", parts = folder.path() + "/parts.h5";
  // Pixels cross the chunks' edges: 40 scenes of 300 x 300 are 10.8 MB.
  PackOptions options{
      .data = "synthetic:shapes,size=300,count=40,val=0", .store = PixelStore::raw, .workers = 1};
  options.out = whole;
  pack(options);
  options.out = parts;
  int calls = 0;
  while (pack(options, [] { return true; }).interrupted) {
    CHECK(!fs::exists(parts));
    ++calls;
  }
  CHECK(calls >= 3);
  check_same(*open_dataset(parts), *open_dataset(whole));
  check_same(*open_dataset(parts), *open_dataset(options.data));
}

TEST_CASE("a partial pack of something else is not continued") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  PackOptions options{.data = "synthetic:shapes,size=16,count=40,val=0", .out = out, .workers = 1};
  REQUIRE(pack(options, [] { return true; }).interrupted);
  options.store = PixelStore::raw;
  CHECK_THROWS_WITH(pack(options),
                    out +
                        ".partial: was begun for other images or with other "
                        "options; delete it to begin anew");
  std::ofstream(out + ".partial") << "rubbish";
  CHECK_THROWS_WITH(pack(options), ContainsSubstring("delete it to begin anew"));
}

TEST_CASE("a pack of which a kill left unwritten parts goes on from the last commit") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5", killed = folder.path() + "/killed.h5";
  const PackInfo info{.store = PixelStore::raw, .source = "test", .inputs = 400};
  const auto image = [](int i) {
    PackedImage image{.height = 100, .width = 100, .name = fmt::format("n{}", i)};
    image.bytes.assign(30000, static_cast<uint8_t>(i));
    return image;
  };
  {
    PackWriter writer(out, info);
    for (int i = 0; i < 150; ++i) writer.add(image(i));
    writer.commit();
    for (int i = 150; i < 390; ++i) writer.add(image(i));  // whole chunks of these are written
    fs::copy_file(out + ".partial", killed + ".partial");
  }
  PackWriter writer(killed, info);
  REQUIRE(writer.next_input() == 150);
  for (int i = 150; i < 400; ++i) writer.add(image(i));
  writer.finish();
  const auto data = open_dataset(killed);
  REQUIRE(data->size() == 400);
  const auto reader = data->reader();
  for (int i = 0; i < 400; ++i) {
    CHECK(data->name(i) == fmt::format("n{}", i));
    const Image back = read_image(*reader, i);
    CHECK(std::count(back.pixels.begin(), back.pixels.end(), static_cast<uint8_t>(i)) == 30000);
  }
}

TEST_CASE(
    "a pack that met a full disk is an error, and the same call makes it when there is room") {
  const TempFolder folder;
  const auto whole = folder.path() + "/whole.h5";
  PackOptions options{.data = "synthetic:shapes,size=300,count=40,val=0",
                      .out = whole,
                      .store = PixelStore::raw,
                      .workers = 1};
  pack(options);
  const auto size = static_cast<int64_t>(fs::file_size(whole));
  int resumed = 0;
  for (const int64_t room : {int64_t{0},
                             int64_t{700},
                             int64_t{3000},
                             int64_t{20000},
                             int64_t{100000},
                             int64_t{1} << 20,
                             int64_t{5} << 20,
                             int64_t{9} << 20,
                             size - 100000,
                             size - 3000,
                             size - 100,
                             size - 1}) {
    INFO(room << " of " << size);
    options.out = folder.path() + fmt::format("/{}.h5", room);
    for (int twice = 0; twice < 2; ++twice) {
      const test::FullDisk disk(room);
      CHECK_THROWS_WITH(pack(options), ContainsSubstring(options.out + ".partial: File too large"));
    }
    CHECK(!fs::exists(options.out));
    resumed += fs::exists(options.out + ".partial") ? 1 : 0;
    CHECK(pack(options).images == 40);
    CHECK(!fs::exists(options.out + ".partial"));
    check_same(*open_dataset(options.out), *open_dataset(whole));
  }
  CHECK(resumed >= 2);
}

TEST_CASE("a pack is read without a lock, which network disks may lack or others may hold") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  pack({.data = "synthetic:shapes,size=16,count=4,val=0", .out = out});
  const int held = ::open(out.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(::flock(held, LOCK_EX | LOCK_NB) == 0);
  CHECK(error_of(out) == "");
  ::close(held);
}

TEST_CASE("a damaged pack is one clear error") {
  const TempFolder folder;
  const auto root = folder.path() + "/images", out = folder.path() + "/p.h5";
  make_images(root);
  pack({.data = root, .out = out, .max_bad_fraction = 0.2});
  CHECK(error_of(out) == "");
  const std::string good = read_whole_file(out);

  const auto damaged = folder.path() + "/bad.h5";
  const auto with = [&](const std::string& bytes) {
    std::ofstream(damaged, std::ios::binary) << bytes;
    return error_of(damaged);
  };
  const std::string none =
      damaged + ": not an image pack; wanted is one of pack_dataset or a folder of images";
  CHECK(with("") == none);
  CHECK(with("not HDF5 at all, but long enough to be something") == none);
  CHECK(with(good.substr(0, good.size() / 2)) ==
        damaged + ": not a pack that pack_dataset finished, or cut short");
  CHECK(with(good + "x") == damaged + ": not a pack that pack_dataset finished, or cut short");
  Random random(1);
  int errors = 0;
  for (int i = 0; i < 150; ++i) {
    std::string bad = good;
    // Half of them in the index, which is small beside the one chunk of pixels.
    const int64_t reach = i % 2 == 0 ? 4000 : static_cast<int64_t>(bad.size());
    bad[random.integer(0, reach)] ^= static_cast<char>(1 << random.integer(0, 8));
    errors += !with(bad).empty();
  }
  CHECK(errors >= 75);
  CHECK(with(good) == "");
}
