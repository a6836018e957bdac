#include <deque>
#include <filesystem>
#include <fstream>

#include "augment/open_dataset.h"
#include "communicator.h"
#include "error.h"
#include "options.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

using Texts = std::deque<std::string>;

/// One of two ranks: the first keeps what it gives to the other, the second takes it from there.
class HalfOfTwo final : public Communicator {
 public:
  using Communicator::broadcast;
  HalfOfTwo(int64_t rank, Texts& texts) : rank_(rank), texts_(texts) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return 2; }
  std::string broadcast(const std::string& text) override {
    if (rank_ == 0) {
      texts_.push_back(text);
      return text;
    }
    if (texts_.empty()) fail("rank 0 has no more to say");
    std::string first = std::move(texts_.front());
    texts_.pop_front();
    return first;
  }

 private:
  int64_t rank_;
  Texts& texts_;
};

std::shared_ptr<Dataset> open_as(
    int64_t rank, Texts& texts, const std::string& path, Split split, const std::string& cache) {
  const JoinedWorld joined(std::make_unique<HalfOfTwo>(rank, texts));
  return open_dataset(path, split, cache);
}

void touch(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream{path};
}

void check_names(const Dataset& a, const Dataset& b) {
  REQUIRE(a.size() == b.size());
  CHECK(a.class_names() == b.class_names());
  for (int64_t i = 0; i < a.size(); ++i) {
    CHECK(a.name(i) == b.name(i));
    CHECK(a.label(i) == b.label(i));
  }
}

}  // namespace

TEST_CASE("rank 0 lists a folder, and the others take its listing") {
  const TempFolder folder, cache;
  for (const char* file : {"train/a/1.jpg", "train/b/2.jpg", "train/b/3.jpg", "val/b/4.jpg"}) {
    touch(folder.path() + "/" + file);
  }
  for (const auto split : {Split::train, Split::val, Split::all}) {
    INFO(name_of(split));
    const auto alone = open_dataset(folder.path(), split);
    Texts texts;
    check_names(*open_as(0, texts, folder.path(), split, cache.path()), *alone);
    // What the second rank finds in the folder itself counts for nothing.
    fs::rename(folder.path(), folder.path() + "_away");
    fs::create_directory(folder.path());
    check_names(*open_as(1, texts, folder.path(), split, cache.path()), *alone);
    CHECK(texts.empty());
    fs::remove(folder.path());
    fs::rename(folder.path() + "_away", folder.path());
  }
}

TEST_CASE("a rank that lists for itself says nothing to the others") {
  const TempFolder folder;
  touch(folder.path() + "/1.jpg");
  Texts texts;
  CHECK(open_as(0, texts, folder.path(), Split::train, "")->size() == 1);
  CHECK(texts.empty());
  CHECK(open_as(1, texts, folder.path(), Split::train, "")->size() == 1);
}

TEST_CASE("a listing that doesn't arrive whole is one line") {
  const TempFolder folder, cache;
  touch(folder.path() + "/a/1.jpg");
  touch(folder.path() + "/b/2.jpg");
  Texts whole;
  open_as(0, whole, folder.path(), Split::train, cache.path());
  REQUIRE(whole.size() >= 4);
  for (size_t i = 1; i < whole.size(); ++i) {  // the first is empty: nothing failed
    INFO(i);
    Texts texts = whole;
    texts[i] = "";
    CHECK_THROWS_WITH(open_as(1, texts, folder.path(), Split::train, cache.path()),
                      folder.path() + ": rank 0 sent no listing of it");
  }
}

TEST_CASE("where rank 0 can't list a folder, the others end with its words") {
  const TempFolder folder, cache;
  touch(folder.path() + "/train/a/1.jpg");
  fs::create_directory(folder.path() + "/val");
  Texts texts;
  std::string why;
  try {
    open_as(0, texts, folder.path(), Split::val, cache.path());
  } catch (const Error& error) {
    why = error.what();
  }
  CHECK_FALSE(why.empty());
  touch(folder.path() + "/val/a/2.jpg");  // the second rank could
  CHECK_THROWS_WITH(open_as(1, texts, folder.path(), Split::val, cache.path()), why);
  CHECK(texts.empty());
}

TEST_CASE("the same data may lie elsewhere on another rank") {
  const TempFolder folder, elsewhere, cache;
  touch(folder.path() + "/train/a/1.jpg");
  touch(folder.path() + "/val/a/2.jpg");
  Texts texts;
  open_as(0, texts, folder.path(), Split::val, cache.path());
  const auto images = open_as(1, texts, elsewhere.path(), Split::val, cache.path());
  CHECK(images->name(0) == "val/a/2.jpg");
  const std::string missing = "can't be opened";
  CHECK_THROWS_WITH(images->reader()->open(0), ContainsSubstring(missing));
  touch(elsewhere.path() + "/val/a/2.jpg");  // which is no picture
  CHECK_THROWS_WITH(images->reader()->open(0), !ContainsSubstring(missing));
}
