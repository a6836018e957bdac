// Where no pack is made, and why.
#include <filesystem>
#include <fstream>

#include "augment/io/pack_images.h"
#include "augment/io/pack_writer.h"
#include "error.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

namespace {

/// Three pictures of each of two classes.
void make_images(const std::string& root) {
  const std::string picture = std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/images/rgb8.png";
  for (const char* name : {"a/1", "a/2", "a/3", "b/1", "b/2", "b/3"}) {
    const fs::path file = fmt::format("{}/{}.png", root, name);
    fs::create_directories(file.parent_path());
    fs::copy_file(picture, file);
  }
}

PackReport pack(
    const PackOptions& options, const std::function<bool()>& stop = [] { return false; }) {
  return pack_images(options, stop, [](const PackReport&) {}, [](const std::string&) {});
}

}  // namespace

TEST_CASE("an interrupted pack doesn't go on where images or classes have other names") {
  const TempFolder folder;
  const auto root = folder.path() + "/images", out = folder.path() + "/p.h5";
  make_images(root);
  const PackOptions options{.data = root, .out = out, .workers = 1};
  REQUIRE(pack(options, [] { return true; }).interrupted);
  fs::rename(root + "/a", root + "/z");
  CHECK_THROWS_WITH(pack(options), ContainsSubstring("was begun for other images"));
  fs::rename(root + "/z", root + "/a");
  CHECK(pack(options).images == 6);
}

TEST_CASE("a pack that another process is writing is left to it") {
  const TempFolder folder;
  const auto out = folder.path() + "/p.h5";
  const PackOptions options{.data = "synthetic:shapes,size=16,count=40,val=0", .out = out};
  {
    const PackWriter other(out, {.source = "other", .inputs = 1});
    CHECK_THROWS_WITH(pack(options), ContainsSubstring(out + ": another process is writing it"));
    CHECK(fs::exists(out + ".partial"));
  }
  fs::remove(out + ".partial");
  CHECK(pack(options).images == 40);
}

TEST_CASE("a pack that lacks too much is none, until more may be lacking") {
  const TempFolder folder;
  const auto root = folder.path() + "/images", out = folder.path() + "/p.h5";
  make_images(root);
  for (int i = 0; i < 5; ++i) std::ofstream(fmt::format("{}/a/bad{}.jpg", root, i)) << "no";
  PackOptions options{.data = root, .out = out};
  CHECK_THROWS_WITH(pack(options), ContainsSubstring("more than --max-bad-fraction 0.1 allows"));
  CHECK(!fs::exists(out));
  options.max_bad_fraction = 1;
  CHECK(pack(options).skipped == 5);
}
