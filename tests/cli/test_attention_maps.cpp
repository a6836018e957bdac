#ifdef PREVIT_WITH_IMAGE_IO
#include <filesystem>
#include <nlohmann/json.hpp>

#include "augment/encode_png.h"
#include "augment/io/tensor_file.h"
#include "cli/attention_maps.h"
#include "cli/embed.h"
#include "cli/frames.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"

using namespace previt;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

int call(const cli::po::options_description& options,
         int (*tool)(const cli::po::variables_map&),
         const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words).options(options).run(), args);
  cli::po::notify(args);
  return tool(args);
}

int attention_maps(const Words& words) {
  return call(cli::attention_maps_options(), cli::attention_maps, words);
}

int embed(const Words& words) { return call(cli::embed_options(), cli::embed, words); }

int64_t files_in(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

// A photograph of 20 × 30 pixels with a bright object, and its mask.
void write_photograph(const std::string& folder, const std::string& name) {
  fs::create_directories(folder + "/images");
  fs::create_directories(folder + "/masks");
  at::Tensor pixels = torch::randint(0, 90, {20, 30, 3}, torch::kUInt8);
  at::Tensor mask = torch::zeros({20, 30, 3}, torch::kUInt8);
  pixels.slice(0, 4, 12).slice(1, 10, 22).fill_(230);
  mask.slice(0, 4, 12).slice(1, 10, 22).fill_(255);
  write_whole_file(folder + "/images/" + name + ".png", encode_png(pixels));
  write_whole_file(folder + "/masks/" + name + ".png", encode_png(mask));
}

}  // namespace

TEST_CASE("attention_maps writes pictures, maps and scores of generated scenes") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  const std::string video = temp.path() + "/clip.avi";
  REQUIRE(attention_maps({"--from", from, "--images", "synthetic:shapes,size=32,count=6,val=0",
                          "--image-size", "32", "--out", out, "--pictures", "2", "--video",
                          video}) == 0);
  const auto result = nlohmann::json::parse(read_whole_file(out + "/result.json"));
  CHECK(result["images"] == 6);
  CHECK(result["heads"] == 3);
  CHECK(result["attention"] == "block 1 of 2");
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
  CHECK(file.read_texts("names").size() == 6);
  CHECK(file.read("maps/000005").sizes().vec() == std::vector<int64_t>{3, 4, 4});
}

TEST_CASE("attention_maps takes photographs of any shape, masks by name, rollout and one image") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  write_photograph(temp.path(), "b 1");
  write_photograph(temp.path(), "a");
  fs::remove(temp.path() + "/masks/a.png");
  write_whole_file(temp.path() + "/images/bad.png", "no image");
  REQUIRE(attention_maps({"--from", from, "--images", temp.path() + "/images", "--masks",
                          temp.path() + "/masks", "--out", out, "--block", "0"}) == 0);
  auto result = nlohmann::json::parse(read_whole_file(out + "/result.json"));
  CHECK(result["images"] == 2);
  CHECK(result["scored_images"] == 1);
  const TensorFileReader file(out + "/attention.h5");
  // The short side is 16, the long one 24, in patches of 8.
  CHECK(file.read("maps/000000").sizes().vec() == std::vector<int64_t>{3, 2, 3});
  CHECK(file.read_texts("names") == Words{"a.png", "b 1.png"});
  CHECK(fs::exists(out + "/overlays/00001_b_1_head0.png"));

  REQUIRE(attention_maps({"--from", from, "--images", temp.path() + "/images/a.png", "--out",
                          temp.path() + "/one", "--rollout"}) == 0);
  result = nlohmann::json::parse(read_whole_file(temp.path() + "/one/result.json"));
  CHECK(result["images"] == 1);
  CHECK(result["heads"] == 1);
  CHECK_FALSE(result.contains("jaccard"));
}

TEST_CASE("a mask is cut as its image is") {
  const TempFolder temp;
  write_photograph(temp.path(), "a");
  const auto images = cli::open_pictures(temp.path() + "/images", "all");
  cli::FrameReader reader(images, 40, 8);
  const at::Tensor picture = reader.read(0);
  CHECK(picture.sizes().vec() == std::vector<int64_t>{3, 40, 56});  // 60 wide, cut to patches
  const auto mask = cli::MaskFolder(temp.path() + "/masks").find("elsewhere/a.jpg");
  REQUIRE(mask.has_value());
  const at::Tensor object = reader.mask_of(*mask);
  CHECK(object.sizes().vec() == std::vector<int64_t>{40, 56});
  CHECK(object.sum().item<int64_t>() == 16 * 24);
  const at::Tensor bright = picture.mean(0) > 0.6;
  CHECK((bright == object).to(torch::kFloat).mean().item<double>() > 0.95);
}

TEST_CASE("what attention_maps is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path());
  const auto refuse = [&](const Words& more, const std::string& message) {
    Words words = {"--from", from, "--images", "synthetic:shapes,count=2,val=0", "--out",
                   temp.path() + "/out"};
    words.insert(words.end(), more.begin(), more.end());
    CHECK_THROWS_MATCHES(attention_maps(words), UsageError, Catch::Message(message));
  };
  refuse({"--threshold", "0"}, "--threshold: 0 is not in (0, 1]");
  refuse({"--block", "2"}, "--block: 2 is not in [-2, 1]");
  refuse({"--block", "1", "--rollout"},
         "--block: --rollout goes through all blocks; give one of the two");
  refuse({"--video", "clip.gif"}, "clip.gif: a video's name ends in .avi or .mp4");
  CHECK_THROWS_WITH(attention_maps({"--from", from, "--images", from, "--out", temp.path()}),
                    ContainsSubstring("tiny.safetensors"));
}

TEST_CASE("embed writes features with names, a plot and pictures of the patches") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path());
  const std::string h5 = temp.path() + "/f.h5", data = "synthetic:shapes,size=16,count=40,val=5";
  REQUIRE(embed({"--from", from, "--images", data, "--out", h5, "--features", "cls+mean", "--plot",
                 temp.path() + "/plot.svg", "--patch-pca", temp.path() + "/pca"}) == 0);
  {
    const TensorFileReader file(h5);
    CHECK(file.read("features").sizes().vec() == std::vector<int64_t>{45, 48});
    CHECK(file.read("labels").size(0) == 45);
    CHECK(file.read_texts("names").size() == 45);
    CHECK(file.read_texts("class_names").size() == 10);
  }
  CHECK(read_whole_file(temp.path() + "/plot.svg").find("star") != std::string::npos);
  CHECK(files_in(temp.path() + "/pca") == 46);
  REQUIRE(embed({"--from", from, "--images", data, "--split", "val", "--out", h5, "--features",
                 "patches"}) == 0);
  CHECK(TensorFileReader(h5).read("features").sizes().vec() == std::vector<int64_t>{5, 4, 24});
  const auto refuse = [&](const Words& more, const std::string& message) {
    Words words = {"--from", from, "--images", data, "--out", h5};
    words.insert(words.end(), more.begin(), more.end());
    CHECK_THROWS_MATCHES(embed(words), UsageError, Catch::Message(message));
  };
  refuse({"--plot", "plot.png"}, "--plot: plot.png must end in .svg");
  refuse({"--features", "patches", "--plot", "a.svg"},
         "--plot: needs one feature an image, not patches; see --patch-pca");
  refuse({"--features", "all"},
         "--features: all is not one of cls, cls+mean, mean, patches, pooled");
}
#endif
