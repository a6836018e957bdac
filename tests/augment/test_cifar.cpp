#include <filesystem>
#include <fstream>

#include "augment/open_dataset.h"
#include "error.h"
#include "random.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

/// `count` records; pixel p of channel c of record i is (i + p + 80 c) mod 256.
std::string records(int64_t count, int64_t first_label) {
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<char>((first_label + i) % 10));
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t p = 0; p < 1024; ++p) bytes.push_back(static_cast<char>(i + p + 80 * c));
    }
  }
  return bytes;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("CIFAR-10 batches") {
  const TempFolder folder;
  for (int b = 1; b <= 5; ++b) {
    write(fmt::format("{}/data_batch_{}.bin", folder.path(), b), records(4, b));
  }
  write(folder.path() + "/test_batch.bin", records(3, 7));
  const auto train = open_dataset(folder.path(), Split::train);
  CHECK(train->size() == 20);
  CHECK(train->label(5) == 3);
  CHECK(open_dataset(folder.path(), Split::all)->size() == 23);
  CHECK((dataset_splits(folder.path()) == std::set{Split::train, Split::val}));

  const auto val = open_dataset(folder.path(), Split::val);
  REQUIRE(val->size() == 3);
  CHECK(val->label(2) == 9);
  CHECK(val->class_names()[9] == "truck");
  const auto reader = val->reader();
  const Image image = read_image(*reader, 2);
  REQUIRE(image.height == 32);
  CHECK(image.row(1)[3 * 5] == (2 + 37) % 256);
  CHECK(image.row(1)[3 * 5 + 2] == (2 + 37 + 160) % 256);

  write(folder.path() + "/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  CHECK(open_dataset(folder.path(), Split::val)->class_names()[1] == "b");
}

TEST_CASE("damaged CIFAR-10 batches are named") {
  const TempFolder folder;
  const std::string path = folder.path() + "/test_batch.bin";
  write(path, records(2, 0) + "x");
  CHECK_THROWS_WITH(open_dataset(folder.path(), Split::val),
                    path + ": 6147 bytes are not a number of 3073-byte records");
  std::string bad = records(2, 0);
  bad[3073] = 17;
  write(path, bad);
  CHECK_THROWS_WITH(open_dataset(folder.path(), Split::val),
                    path + ": record 1: label 17 is not below 10");
  write(path, "");
  CHECK_THROWS_AS(open_dataset(folder.path(), Split::val), Error);
  CHECK_THROWS_WITH(open_dataset(folder.path(), Split::train),
                    ContainsSubstring("data_batch_1.bin: can't be opened"));
}

TEST_CASE("CIFAR-10 is found in the folder that its archive makes") {
  const TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/cifar-10-batches-bin");
  write(folder.path() + "/cifar-10-batches-bin/test_batch.bin", records(3, 7));
  CHECK(open_dataset(folder.path(), Split::val)->size() == 3);
  CHECK((dataset_splits(folder.path()) == std::set{Split::val}));
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("CIFAR as Python pickles is told as what it is") {
  const TempFolder folder;
  const std::string inside = folder.path() + "/cifar-10-batches-py";
  std::filesystem::create_directories(inside);
  write(inside + "/data_batch_1", "\x80\x02}");
  for (const auto& path : {inside, folder.path()}) {
    CHECK_THROWS_WITH(open_dataset(path),
                      inside +
                          ": holds CIFAR as Python pickles; wanted is CIFAR-10's binary version "
                          "(cifar-10-binary.tar.gz)");
  }
}
#endif

TEST_CASE("what isn't there is said") {
  CHECK_THROWS_WITH(open_dataset("/nowhere/at/all"),
                    "/nowhere/at/all: there is no such file or folder");
}
