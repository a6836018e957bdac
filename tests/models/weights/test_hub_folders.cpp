// What the JSON files of a Hugging Face or timm folder say about images, classes and sizes.
#include <filesystem>

#include "files.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weight_format.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"
#include "support/torch_save.h"

namespace previt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<double> kHalf = {0.5, 0.5, 0.5}, kZero = {0, 0, 0}, kOne = {1, 1, 1};

// A copy of a folder of transformers.
class Folder {
 public:
  explicit Folder(const std::string& name = "hf_vit_a")
      : config(json::parse(
            read_whole_file(PREVIT_SOURCE_DIR "/tests/fixtures/" + name + "/config.json"))) {
    fs::copy_file(PREVIT_SOURCE_DIR "/tests/fixtures/" + name + "/model.safetensors",
                  at("model.safetensors"));
  }
  std::string at(const std::string& name) const { return folder.path() + "/" + name; }
  LoadedModel load(const json& preprocessor = nullptr) {
    warnings.clear();
    write_whole_file(at("config.json"), config.dump());
    fs::remove(at("preprocessor_config.json"));
    if (!preprocessor.is_null()) {
      write_whole_file(at("preprocessor_config.json"), preprocessor.dump());
    }
    return load_model(folder.path(), &warnings);
  }

  const TempFolder folder;
  json config;
  std::vector<std::string> warnings;
};

// As transformers writes it for a network that sees squares of 32 pixels.
json preprocessor() {
  return {{"do_normalize", true},
          {"do_rescale", true},
          {"image_mean", kHalf},
          {"image_std", kHalf},
          {"do_center_crop", true},
          {"size", {{"shortest_edge", 40}}},
          {"crop_size", {{"height", 32}, {"width", 32}}}};
}

}  // namespace

TEST_CASE_METHOD(Folder, "a folder that doesn't say how pixels are normalised is told of") {
  CHECK(load().normalize.mean == NormalizeOptions().mean);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("does not say how pixels are normalised"));
  CHECK(load(preprocessor()).normalize.mean == kHalf);
  CHECK(warnings.empty());
}

TEST_CASE_METHOD(Folder, "pixels may stay as they are, or have one mean for all channels") {
  json plain = preprocessor();
  plain["do_normalize"] = false;
  const NormalizeOptions as_they_are = load(plain).normalize;
  CHECK(as_they_are.mean == kZero);
  CHECK(as_they_are.std == kOne);
  json one = preprocessor();
  one["image_mean"] = one["image_std"] = 0.5;
  CHECK(load(one).normalize.std == kHalf);
  one["image_std"] = {0.5, 0.5};  // of two channels, which the network hasn't
  CHECK(load(one).normalize.std == NormalizeOptions().std);
  CHECK(warnings.size() == 1);
  json bytes = preprocessor();
  bytes["do_rescale"] = false;
  CHECK_THROWS_WITH(load(bytes), ContainsSubstring("its do_rescale is false"));
}

TEST_CASE_METHOD(Folder, "the view is the folder's, and another one than ours is told of") {
  CHECK(load(preprocessor()).crop_pct == 0.8);
  json old = preprocessor();
  old["size"] = 40;
  old["crop_size"] = 32;
  CHECK(load(old).crop_pct == 0.8);
  CHECK(warnings.empty());
  json squeezed = preprocessor();
  squeezed.erase("crop_size");
  squeezed.erase("do_center_crop");
  squeezed["size"] = {{"height", 32}, {"width", 32}};
  CHECK(load(squeezed).crop_pct == 1);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("its images are made square otherwise"));
}

TEST_CASE_METHOD(Folder,
                 "families of transformers have their own eps, and unknown ones a warning") {
  config.erase("layer_norm_eps");
  CHECK(load(preprocessor()).options.norm_eps == 1e-12);
  config["model_type"] = "yolos";
  load(preprocessor());
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("model_type \"yolos\" is unknown"));
}

TEST_CASE_METHOD(Folder, "a configuration that can't be is one line with its place") {
  config["num_attention_heads"] = 5;
  CHECK_THROWS_WITH(
      load(), at("model.safetensors") + ": num_attention_heads: 5 does not divide its width 36");
}

TEST_CASE_METHOD(Folder, "an image may be larger than its whole patches") {
  config["image_size"] = 38;  // four patches of 8, and 6 pixels
  CHECK(load().options.image_size == std::vector<int64_t>{32});
}

TEST_CASE("the classes of a head that isn't ours keep their names") {
  Folder folder("hf_dinov2_a");
  LoadedModel model = folder.load();
  model.extra["head.weight"] = torch::zeros({2, 2 * model.options.embed_dim});
  model.extra["head.bias"] = torch::zeros({2});
  model.config["id2label"] = {{"0", "cat"}, {"1", "dog"}};
  const json config = format_named("hugging_face").write(model).config;
  CHECK(config.at("id2label") == json{{"0", "cat"}, {"1", "dog"}});
  model.config.erase("id2label");
  CHECK(format_named("hugging_face").write(model).config.at("id2label").at("1") == "1");
}

TEST_CASE("a folder of timm is timm's whatever its file is called") {
  const TempFolder folder;
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(Vit(tiny_vit()))) weights[name] = tensor.detach();
  write_whole_file(folder.path() + "/pytorch_model.bin", test::torch_save({{"", weights}}));
  write_whole_file(folder.path() + "/config.json", R"({"architecture": "vit_tiny_patch16_224"})");
  CHECK(load_model(folder.path()).options.pos_resize == ResizeConvention::timm);
}

}  // namespace previt
