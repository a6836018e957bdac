#ifdef PREVIT_WITH_IMAGE_IO
#include <previt/previt.h>

#include <cstdlib>
#include <functional>
#include <iterator>
#include <sstream>

#include "augment/io/tensor_file.h"
#include "commands/embed.h"
#include "commands/predict.h"
#include "files.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/command.h"
#include "support/program.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";
const std::string kClassifier = kFixtures + "timm_hub_a";
const std::string kImage = kFixtures + "images/rgb8.png";

// The features that `embed` writes for kImage.
at::Tensor embedded(const std::string& from, const std::string& tokens) {
  const TempFolder temp;
  const std::string file = temp.path() + "/f.h5";
  const Words words = {"--from", from, "--images", kImage, "--out", file, "--features", tokens};
  REQUIRE(call(cli::embed_options(), cli::embed, words + Words{"--device", "cpu"}) == 0);
  return TensorFileReader(file).read("features").clone();
}

at::Tensor tensor_of(const std::vector<float>& values) { return torch::tensor(values); }

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("the library gives the features that embed writes") {
  for (const char* name : {"timm_hub_a", "hf_vit_a", "hf_dinov2_a"}) {
    INFO(name);
    const Backbone backbone = load_backbone(kFixtures + name);
    const ImageFeatures features = backbone.features(load_image(kImage));
    CHECK(backbone.feature_width() == 36);
    CHECK(backbone.input_width() == 32);
    CHECK(backbone.input_height() == 32);
    CHECK(backbone.patch_size() == 8);
    CHECK(backbone.warnings().empty() == std::string(name).starts_with("timm"));
    CHECK(features.rows == 4);
    CHECK(features.columns == 4);
    const auto same = [&](const std::vector<float>& values, const char* tokens) {
      const at::Tensor wanted = embedded(kFixtures + name, tokens).flatten();
      REQUIRE(values.size() == static_cast<size_t>(wanted.numel()));
      CHECK(torch::allclose(tensor_of(values), wanted, 1e-5, 1e-5));
    };
    same(features.cls, "cls");
    same(features.mean, "mean");
    same(features.patches, "patches");
  }
}

TEST_CASE("the library normalises and classifies as predict does") {
  const Backbone backbone = load_backbone(kClassifier);
  CHECK(backbone.channel_mean() == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(backbone.channel_std() == std::vector<double>{0.5, 0.5, 0.5});
  REQUIRE(backbone.num_classes() == 5);
  std::ostringstream csv;
  const Words words = {"--from", kClassifier, "--images", kImage, "--top", "5", "--device", "cpu"};
  REQUIRE(cli::predict(parse(cli::predict_options(), words), csv) == 0);
  const auto classes = backbone.classify(load_image(kImage));
  REQUIRE(classes.size() == 5);
  std::string wanted = "path,class,probability,error\n";
  for (const auto& c : classes) {
    CHECK(c.name == std::to_string(c.index));
    wanted += fmt::format("rgb8.png,{},{:.6f},\n", c.name, c.probability);
  }
  CHECK(csv.str() == wanted);
  CHECK(backbone.classify(load_image(kImage), 2).size() == 2);
}

TEST_CASE("rows of the caller's pixels may lie apart") {
  const Backbone backbone = load_backbone(kClassifier);
  const RgbImage image = load_image(kImage);
  CHECK(image.width == 22);
  CHECK(image.height == 13);
  const auto row = static_cast<size_t>(3 * image.width);
  std::vector<uint8_t> apart;
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y) {
    apart.insert(apart.end(), image.rgb.data() + y * row, image.rgb.data() + (y + 1) * row);
    apart.insert(apart.end(), 5, 77);
  }
  const PixelsView view = {apart.data(), image.width, image.height, static_cast<int64_t>(row + 5)};
  CHECK(backbone.features(view).patches == backbone.features(image).patches);
  PixelsView wrong = view;
  wrong.row_bytes = 5;
  CHECK(error_of([&] { backbone.features(wrong); }) ==
        "image: rows of 5 bytes hold no 22 RGB pixels");
  CHECK(error_of([&] { backbone.features({}); }) == "image: has no pixels");
}

TEST_CASE("the library's errors are runtime errors of one line with a place") {
  const TempFolder temp;
  const std::string nothing = temp.path() + "/nothing";
  CHECK(error_of([&] { load_backbone(nothing); }).starts_with(nothing + ": "));
  CHECK(error_of([&] { load_image(nothing); }).starts_with(nothing + ": "));
  const std::string device = error_of([&] { load_backbone(kClassifier, {.device = "abacus"}); });
  CHECK(device.starts_with("device: "));
  CHECK(device.find('\n') == std::string::npos);
  const Backbone plain = load_backbone(kFixtures + "hf_vit_a");
  CHECK(plain.num_classes() == 0);
  CHECK(plain.class_names().empty());
  CHECK(error_of([&] {
          plain.classify(load_image(kImage));
        }).ends_with("has no classes; fine-tune it first"));
}

TEST_CASE("the library takes what weights don't tell, and asks for it by its own options") {
  const TempFolder temp;
  const std::string path = temp.path() + "/wide.safetensors";
  VitOptions options = small_vit();
  options.image_size = {16, 24};
  write_safetensors(path, named_tensors(Vit(options)));
  CHECK(error_of([&] { load_backbone(path); }) ==
        path +
            ": pos_embed: 7 rows are no square grid, and nothing says which other; give "
            "BackboneOptions::image_height and image_width");
  CHECK(error_of([&] { load_backbone(path, {.image_height = 16, .image_width = 24}); }) ==
        path + ": does not say how many attention heads it has; give BackboneOptions::heads");
  const Backbone wide = load_backbone(path, {.heads = 3, .image_height = 16, .image_width = 24});
  CHECK(wide.input_height() == 16);
  CHECK(wide.input_width() == 24);
  REQUIRE(wide.warnings().size() == 1);
  CHECK_THAT(wide.warnings()[0], ContainsSubstring("(convert --set normalize.mean=[R,G,B]"));
  CHECK(error_of([&] { load_backbone(path, {.image_height = 16}); }) ==
        "image_height: give image_width too, or neither");
  CHECK(error_of([&] {
          load_backbone(kClassifier, {.image_height = 64, .image_width = 64});
        }).ends_with("is for images of 32 x 32 pixels, not of 64 x 64 (BackboneOptions)"));

  options.image_size = {16};
  options.embed_dim = 192;
  write_safetensors(path, named_tensors(Vit(options)));
  REQUIRE(load_backbone(path).warnings().size() == 2);
  CHECK(
      load_backbone(path).warnings()[1].ends_with("usual for its width (BackboneOptions::heads)"));
  CHECK(load_backbone(path, {.heads = 3}).warnings().size() == 1);
}

TEST_CASE("the version is the headers' in the library's own tests") {
  CHECK(version() == std::string(PREVIT_VERSION_STRING));
  CHECK(fmt::format("{}.{}.{}", PREVIT_VERSION_MAJOR, PREVIT_VERSION_MINOR, PREVIT_VERSION_PATCH) ==
        PREVIT_VERSION_STRING);
}

// Started by tests/install/check.cmake, which installs and builds examples/embed_cpp.
TEST_CASE("the example gives the features that the installed embed writes", "[.][install]") {
  const char* const installed = std::getenv("PREVIT_INSTALLED");
  const char* const example = std::getenv("PREVIT_EXAMPLE");
  REQUIRE(installed != nullptr);
  REQUIRE(example != nullptr);
  const TempFolder temp;
  const std::string file = temp.path() + "/f.h5";
  const Outcome embed =
      run_program(std::string(installed) + "/bin/embed",
                  {"--from", kClassifier, "--images", kImage, "--out", file, "--features", "mean"});
  INFO(embed.errors);
  REQUIRE(embed.code == 0);
  const Outcome printed = run_program(example, {kClassifier, kImage});
  INFO(printed.errors);
  REQUIRE(printed.code == 0);
  std::istringstream lines(printed.output);
  const std::vector<float> values{std::istream_iterator<float>(lines), {}};
  const at::Tensor wanted = TensorFileReader(file).read("features").flatten();
  REQUIRE(values.size() == 36);
  CHECK(torch::allclose(tensor_of(values), wanted, 1e-5, 1e-5));
}
#endif
