#ifdef PREVIT_WITH_IMAGE_IO
#include <filesystem>

#include "augment/encode_png.h"
#include "augment/io/tensor_file.h"
#include "cli/frames.h"
#include "commands/attention_maps.h"
#include "commands/embed.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/command.h"
#include "support/full_disk.h"
#include "support/hdf5_texts.h"
#include "support/photograph.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

int attention_maps(const Words& words) {
  return call(cli::attention_maps_options(), cli::attention_maps, words);
}

int embed(const Words& words) { return call(cli::embed_options(), cli::embed, words); }

// What both programs need.
Words looking(const std::string& from, const std::string& images, const std::string& out) {
  return {"--from", from, "--images", images, "--out", out};
}

int64_t files_in(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

}  // namespace

TEST_CASE("attention_maps writes pictures, maps and scores of generated scenes") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  const std::string video = temp.path() + "/clip.avi";
  const std::string scenes = "synthetic:shapes,size=32,count=6,val=0";
  REQUIRE(attention_maps(looking(from, scenes, out) +
                         Words{"--image-size", "32", "--pictures", "2", "--video", video}) == 0);
  const auto result = result_in(out);
  CHECK(result["images"] == 6);
  CHECK(result["heads"] == 3);
  CHECK(result["attention"] == "block 1 (of 0 to 1)");  // as --block counts
  CHECK(result["scored_images"] == 6);
  CHECK(result["jaccard"] > 0);
  CHECK(result["jaccard"] < 1);
  CHECK(result["jaccard_random"] > 0);
  CHECK(result["jaccard_centre_box"] > 0);
  CHECK(result["jaccard_heads"].size() == 3);
  CHECK(files_in(out + "/overlays") == 2 * 4);
  CHECK(files_in(out + "/masks") == 2 * 3);
  CHECK(fs::exists(out + "/contact_sheet.png"));
  CHECK(fs::file_size(video) > 1000);
  const TensorFileReader file(out + "/attention.h5");
  CHECK(hdf5_texts(out + "/attention.h5", "names").size() == 6);
  CHECK(file.read("maps/000005").sizes().vec() == std::vector<int64_t>{3, 4, 4});
}

TEST_CASE("attention_maps takes photographs of any shape, masks by name, rollout and one image") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  write_photograph(temp.path(), "b 1");
  write_photograph(temp.path(), "a");
  fs::remove(temp.path() + "/masks/a.png");
  write_whole_file(temp.path() + "/images/bad.png", "no image");
  REQUIRE(attention_maps(looking(from, temp.path() + "/images", out) +
                         Words{"--masks", temp.path() + "/masks", "--block", "0"}) == 0);
  auto result = result_in(out);
  CHECK(result["images"] == 2);
  CHECK(result["scored_images"] == 1);
  const TensorFileReader file(out + "/attention.h5");
  // The short side is 16, the long one 24, in patches of 8.
  CHECK(file.read("maps/000000").sizes().vec() == std::vector<int64_t>{3, 2, 3});
  CHECK(hdf5_texts(out + "/attention.h5", "names") == Words{"a.png", "b 1.png"});
  CHECK(fs::exists(out + "/overlays/000001_b_1_head0.png"));
  CHECK(result["skipped_images"] == 1);
  CHECK(result["skipped_masks"] == 0);

  REQUIRE(attention_maps(looking(from, temp.path() + "/images/a.png", temp.path() + "/one") +
                         Words{"--rollout"}) == 0);
  result = result_in(temp.path() + "/one");
  CHECK(result["images"] == 1);
  CHECK(result["heads"] == 1);
  CHECK_FALSE(result.contains("jaccard"));
}

TEST_CASE("what the tools draw isn't taken for data afterwards") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), images = temp.path() + "/images";
  write_photograph(temp.path(), "a");
  write_photograph(temp.path(), "b");
  for (int round = 0; round < 2; ++round) {
    REQUIRE(attention_maps(looking(from, images, images + "/maps")) == 0);
    CHECK(result_in(images + "/maps")["images"] == 2);
    REQUIRE(embed(looking(from, images, images + "/features.h5") +
                  Words{"--patch-pca", images + "/colours"}) == 0);
    CHECK(cli::open_pictures(images, Split::all)->size() == 2);
  }
}

TEST_CASE("a mask that can't be used is left out and counted, and the run goes on") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  for (const char* name : {"a", "b", "c", "d"}) write_photograph(temp.path(), name);
  write_whole_file(temp.path() + "/images/b.png", "no image");
  write_whole_file(temp.path() + "/masks/c.png", "no mask");
  write_mask(temp.path() + "/masks/d.png", 30, 20, 255);  // of an upright picture
  REQUIRE(attention_maps(looking(from, temp.path() + "/images", out) +
                         Words{"--masks", temp.path() + "/masks"}) == 0);
  const auto result = result_in(out);
  CHECK(result["images"] == 3);
  CHECK(result["skipped_images"] == 1);
  CHECK(result["skipped_masks"] == 2);
  CHECK(result["scored_images"] == 1);
  // Pictures have the numbers of the maps.
  CHECK(hdf5_texts(out + "/attention.h5", "names") == Words{"a.png", "c.png", "d.png"});
  CHECK(fs::exists(out + "/overlays/000001_c_mean.png"));
  CHECK(fs::exists(out + "/overlays/000002_d_mean.png"));
}

TEST_CASE("frames are taken in the order in which people count, and a clip has all of them") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  for (const char* name : {"frame_10", "frame_9", "frame_1", "frame_02", "frame_2"}) {
    write_photograph(temp.path(), name);
  }
  const auto look = [&](const std::string& images, const Words& more) {
    REQUIRE(attention_maps(looking(from, images, out) + more) == 0);
  };
  look(temp.path() + "/images", {});
  CHECK(hdf5_texts(out + "/attention.h5", "names") ==
        Words{"frame_1.png", "frame_02.png", "frame_2.png", "frame_9.png", "frame_10.png"});

  look("synthetic:shapes,size=16,count=101,val=0", {"--video", temp.path() + "/clip.avi"});
  CHECK(fs::exists(out + "/overlays/000100_100_mean.png"));
}

TEST_CASE("what attention_maps is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path());
  const auto refuse = [&](const Words& more, const std::string& message) {
    const Words words = looking(from, "synthetic:shapes,count=2,val=0", temp.path() + "/out");
    CHECK_THROWS_MATCHES(attention_maps(words + more), UsageError, Catch::Message(message));
  };
  refuse({"--threshold", "0"}, "--threshold: 0 is not in (0, 1]");
  refuse({"--block", "2"}, "--block: 2 is not in [-2, 1]; 0 is the first block, -1 the last");
  refuse({"--block", "1", "--rollout"},
         "--block: --rollout goes through all blocks; give one of the two");
  const auto options = cli::attention_maps_options();
  CHECK(options.find("threshold", false).format_parameter() == "arg (=0.6)");
  refuse({"--video", "clip.gif"}, "clip.gif: a video's name ends in .avi or .mp4");
  CHECK_THROWS_WITH(attention_maps(looking(from, from, temp.path())),
                    ContainsSubstring("tiny.safetensors"));
}

TEST_CASE("an image whose attention takes more memory than there is, is left out") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), photos = temp.path() + "/photos";
  fs::create_directories(photos);
  write_whole_file(photos + "/a.png", encode_png(torch::randint(256, {16, 16, 3}, torch::kUInt8)));
  // 2 x 90,000 patches: terabytes.
  write_whole_file(photos + "/b.png", encode_png(torch::zeros({2, 90000, 3}, torch::kUInt8)));
  for (const Words& more : {Words{}, Words{"--rollout"}}) {
    const std::string out = temp.path() + fmt::format("/out{}", more.size());
    REQUIRE(attention_maps(looking(from, photos, out) + more) == 0);
    const auto result = result_in(out);
    CHECK(result["images"] == 1);
    CHECK(result["skipped_images"] == 1);
  }
}

TEST_CASE("a full disk is an error that names the file, and leaves none half-written") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  const std::string scenes = "synthetic:shapes,size=16,count=40,val=0";
  const Words maps = looking(from, scenes, out) + Words{"--pictures", "0"};
  const Words plot = looking(from, scenes, out + "/pooled.h5") + Words{"--plot", out + "/plot.svg"};
  fs::create_directories(out);
  for (const int64_t room : {0, 300, 5000, 10000}) {
    INFO(room);
    const FullDisk disk(room);
    CHECK_THROWS_WITH(
        attention_maps(maps),
        ContainsSubstring(out + "/attention.h5") && ContainsSubstring("File too large"));
    CHECK_THROWS_WITH(embed(plot), ContainsSubstring(out) && ContainsSubstring("File too large"));
    for (const char* name : {"/attention.h5",
                             "/plot.svg",
                             "/plot.svg.partial",
                             "/contact_sheet.png",
                             "/attention.h5.partial",
                             "/pooled.h5.partial"}) {
      CHECK_FALSE(fs::exists(out + name));
    }
  }
  CHECK(attention_maps(maps) == 0);
  CHECK(embed(plot) == 0);
}
#endif
