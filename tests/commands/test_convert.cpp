#include <fmt/format.h>
#include <torch/types.h>

#include <filesystem>

#include "files.h"
#include "json_options.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/convert_command.h"
#include "support/pretrain_command.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

constexpr auto kWithClasses = [](VitOptions& o) { o.num_classes = 3; };

nlohmann::json json_in(const std::string& path) {
  return nlohmann::json::parse(read_whole_file(path));
}

// A file of ours with random weights, three class names if it has classes, and a crop.
std::string checkpoint(const std::string& folder, VitOptions options) {
  options.arch = "custom";
  const auto vit = random_vit(options);
  const std::vector<std::string> names = {"cat", "dog", "caf\xE9 \"x\""};
  std::string path = folder + "/from.safetensors";
  write_safetensors(path,
                    named_tensors(*vit),
                    model_metadata(vit->options(),
                                   {.mean = {0.1, 0.2, 0.3}, .std = {0.5, 0.6, 0.7}},
                                   options.num_classes > 0 ? names : std::vector<std::string>(),
                                   0.8));
  return path;
}

// The options, those made equal that only say how positions are resized.
nlohmann::json options_of(const LoadedModel& model) {
  VitOptions options = model.options;
  options.pos_resize = ResizeConvention::timm;
  return options_to_json(options);
}

struct Sort {
  std::string format;
  void (*change)(VitOptions&);
  std::string made;  // "architectures" of transformers; "" for timm
};

const std::vector<Sort> kSorts = {
    {"timm", [](VitOptions&) {}, ""},
    {"timm", kWithClasses, ""},
    {"timm",
     [](VitOptions& o) {
       o.num_classes = 3;
       o.pool = Pooling::avg;
     },
     ""},
    {"hf", [](VitOptions&) {}, "ViTModel"},
    {"hf", kWithClasses, "ViTForImageClassification"},
    {"hf",
     [](VitOptions& o) {
       o.num_classes = 3;
       o.dist_token = true;
     },
     "DeiTForImageClassificationWithTeacher"},
    {"hf", [](VitOptions& o) { o.layer_scale = 0.5; }, "Dinov2Model"},
    {"hf",
     [](VitOptions& o) {
       o.qkv_bias = QkvBias::qv;
       o.rel_pos_bias = RelPosBias::shared;
       o.pos_embed = PosEmbed::none;
       o.layer_scale = 0.5;
       o.pool = Pooling::avg;
       o.num_classes = 3;
     },
     "BeitForImageClassification"},
};

// Writes beside a folder what PreViT makes of random pixels, for tools/peers/check_export.py.
void write_check(const std::string& folder, const LoadedModel& model) {
  const torch::NoGradGuard no_grad;
  Vit vit(model.options);
  REQUIRE(load_into(vit, model.weights).missing.empty());
  vit.eval();
  const VitOptions& o = vit.options();
  torch::manual_seed(3);
  const at::Tensor pixels = torch::randn({2, o.in_channels, o.image_height(), o.image_width()});
  NamedTensors check = {{"pixels", pixels}};
  if (o.num_classes > 0) {
    check["logits"] = vit.forward(pixels);
  } else {
    check["features"] = vit.forward_features(pixels);
  }
  write_safetensors(folder + ".check.safetensors", check);
}

}  // namespace

TEST_CASE("a converted folder is read as the same network, bit for bit", "[convert]") {
  const TempFolder temp;
  Words folders;
  for (const Sort& sort : kSorts) {
    VitOptions options = tiny_vit();
    sort.change(options);
    INFO(sort.format + " " + sort.made + options_to_json(options).dump());
    const std::string from = checkpoint(temp.path(), options);
    const std::string to = fmt::format("{}/folders/{}", temp.path(), folders.size());
    REQUIRE(convert(from, to, sort.format) == 0);
    CHECK_FALSE(fs::exists(to + ".partial"));
    const LoadedModel before = load_model(from), after = load_model(to);
    check_same_tensors(after.weights, before.weights);
    CHECK(after.extra.empty());
    CHECK(options_of(after) == options_of(before));
    CHECK(after.normalize.mean == before.normalize.mean);
    CHECK(after.normalize.std == before.normalize.std);
    CHECK(after.crop_pct == before.crop_pct);
    CHECK(after.class_names == before.class_names);
    const auto config = json_in(to + "/config.json");
    if (!sort.made.empty()) CHECK(config.at("architectures").at(0) == sort.made);
    write_check(to, before);
    folders.push_back(to);
  }
  check_in_python(folders);
}

TEST_CASE("transformers' configuration says sizes, classes and the view", "[convert]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  kWithClasses(options);
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(checkpoint(temp.path(), options), to, "hf") == 0);
  const auto config = json_in(to + "/config.json");
  const nlohmann::json want = {{"model_type", "vit"},
                               {"architectures", {"ViTForImageClassification"}},
                               {"hidden_size", 16},
                               {"num_hidden_layers", 2},
                               {"num_attention_heads", 2},
                               {"intermediate_size", 32},
                               {"hidden_act", "gelu"},
                               {"layer_norm_eps", 1e-6},
                               {"image_size", 16},
                               {"patch_size", 4},
                               {"num_channels", 3},
                               {"qkv_bias", true},
                               {"id2label", {{"0", "cat"}, {"1", "dog"}, {"2", "caf\\xE9 \"x\""}}},
                               {"label2id", {{"cat", 0}, {"dog", 1}, {"caf\\xE9 \"x\"", 2}}}};
  CHECK(config == want);
  const auto view = json_in(to + "/preprocessor_config.json");
  CHECK(view.at("size") == nlohmann::json({{"shortest_edge", 20}}));
  CHECK(view.at("crop_size") == nlohmann::json({{"height", 16}, {"width", 16}}));
  CHECK(view.at("do_center_crop") == true);
  CHECK(view.at("resample") == 3);
  CHECK(view.at("image_mean") == nlohmann::json({0.1, 0.2, 0.3}));
  CHECK(view.at("image_std") == nlohmann::json({0.5, 0.6, 0.7}));
  const std::string card = read_whole_file(to + "/README.md");
  CHECK(card.starts_with("---\nlibrary_name: transformers\nlicense: unknown\n"));
  CHECK_THAT(card, ContainsSubstring("| classes | 3: cat, dog, caf"));
  CHECK_THAT(card, ContainsSubstring("ViTForImageClassification.from_pretrained"));
  CHECK_THAT(card, ContainsSubstring("PreViT " PREVIT_VERSION));
}

TEST_CASE("timm's configuration says sizes, classes and the view", "[convert]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  kWithClasses(options);
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(checkpoint(temp.path(), options), to, "timm") == 0);
  const auto config = json_in(to + "/config.json");
  CHECK(config.at("architecture") == "vit_base_patch16_224");
  CHECK(config.at("num_classes") == 3);
  CHECK(config.at("num_features") == 16);
  CHECK(config.at("global_pool") == "token");
  CHECK(config.at("label_names") == nlohmann::json({"cat", "dog", "caf\\xE9 \"x\""}));
  const auto& about = config.at("pretrained_cfg");
  CHECK(about.at("input_size") == nlohmann::json({3, 16, 16}));
  CHECK(about.at("mean") == nlohmann::json({0.1, 0.2, 0.3}));
  CHECK(about.at("crop_pct") == 0.8);
  CHECK(about.at("crop_mode") == "center");
  CHECK(about.at("interpolation") == "bicubic");
  CHECK_FALSE(fs::exists(to + "/preprocessor_config.json"));
  CHECK(read_whole_file(to + "/README.md").starts_with("---\nlibrary_name: timm\n"));
}

TEST_CASE("a licence that the source states goes along, and stays", "[convert]") {
  const TempFolder temp;
  const std::string fixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";
  const std::string one = temp.path() + "/one", two = temp.path() + "/two";
  REQUIRE(convert(fixtures + "timm_hub_a", one, "timm") == 0);
  CHECK_THAT(read_whole_file(one + "/README.md"), ContainsSubstring("\nlicense: apache-2.0\n"));
  REQUIRE(convert(one, two, "hf") == 0);
  CHECK_THAT(read_whole_file(two + "/README.md"), ContainsSubstring("\nlicense: apache-2.0\n"));
}

TEST_CASE("an own run of MAE takes its decoder along, if it is asked to", "[convert]") {
  const TempFolder temp;
  const std::string run = temp.path() + "/run", whole = temp.path() + "/whole";
  REQUIRE(pretrain(kTinyMae + Words{"--data", kScenes, "--out", run} +
                   settings({"train.epochs=1", "mae.mask_ratio=0.5"})) == 0);
  REQUIRE(convert(run, whole, "hf") == 0);
  const auto config = json_in(whole + "/config.json");
  CHECK(config.at("architectures").at(0) == "ViTMAEForPreTraining");
  CHECK(config.at("decoder_num_attention_heads") == 2);
  CHECK(config.at("decoder_num_hidden_layers") == 1);
  CHECK(config.at("mask_ratio") == 0.5);
  CHECK(config.at("norm_pix_loss") == false);
  const LoadedModel before = load_model(run), after = load_model(whole);
  check_same_tensors(after.weights, before.weights);
  NamedTensors decoder;
  for (const auto& [name, tensor] : before.extra) {
    const std::string prefix = "objective.";
    if (name.starts_with(prefix)) decoder[name.substr(prefix.size())] = tensor;
  }
  CHECK(decoder.contains("decoder_pred.weight"));
  check_same_tensors(after.extra, decoder);
  CHECK_THAT(read_whole_file(whole + "/README.md"),
             ContainsSubstring("| trained by | PreViT, mae; epochs: 1; images: 128 |"));
  Words folders = {whole};
  for (const std::string format : {"hf", "timm"}) {
    const std::string bare = temp.path() + "/" + format;
    REQUIRE(convert(run, bare, format, {"--backbone"}) == 0);
    const LoadedModel backbone = load_model(bare);
    check_same_tensors(backbone.weights, before.weights);
    CHECK(backbone.extra.empty());
    write_check(bare, before);
    folders.push_back(bare);
  }
  check_in_python(folders);
}

TEST_CASE("the backbone alone leaves its classes behind", "[convert]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  kWithClasses(options);
  const std::string from = checkpoint(temp.path(), options), to = temp.path() + "/out";
  REQUIRE(convert(from, to, "hf", {"--backbone"}) == 0);
  const LoadedModel model = load_model(to);
  CHECK(model.options.num_classes == 0);
  CHECK(model.class_names.empty());
  CHECK(json_in(to + "/config.json").at("architectures").at(0) == "ViTModel");
}

TEST_CASE("arguments of MAE's authors become transformers' configuration", "[convert]") {
  const TempFolder temp;
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(PREVIT_SOURCE_DIR "/tests/fixtures/mae_checkpoint_a.pth",
                  to,
                  "hf",
                  settings({"model.num_heads=3"})) == 0);
  CHECK(json_in(to + "/config.json").at("norm_pix_loss") == false);  // not the usual value
}

TEST_CASE("a folder may be named from where one is", "[convert]") {
  const TempFolder temp;
  const std::string from = checkpoint(temp.path(), tiny_vit());
  const fs::path before = fs::current_path();
  fs::current_path(temp.path());
  const int code = convert(from, "out", "timm");
  fs::current_path(before);
  CHECK(code == 0);
  CHECK(fs::exists(temp.path() + "/out/config.json"));
}

TEST_CASE("what can't be written leaves no folder, and none is overwritten", "[convert]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  options.pool = Pooling::avg;
  options.num_classes = 3;
  const std::string from = checkpoint(temp.path(), options), to = temp.path() + "/out";
  const auto refuse = [&](const std::string& format, const std::string& message) {
    CHECK_THROWS_WITH(convert(from, to, format), message);
    CHECK_FALSE(fs::exists(to + ".partial"));
  };
  refuse("hf",
         "hugging_face: ViT takes the class token, and this network averages its patches (pool: "
         "avg); timm's does too");
  CHECK_FALSE(fs::exists(to));
  refuse("onix", "--format: onix is not one of hf, timm, official, onnx; did you mean onnx?");
  fs::create_directories(to);
  REQUIRE(convert(from, to + "/", "timm") == 0);  // an empty folder may be there
  const std::string card = read_whole_file(to + "/README.md");
  const std::string full = fs::weakly_canonical(to).string();
  refuse("timm", full + ": is not empty, and nothing in it is overwritten; name another folder");
  CHECK(read_whole_file(to + "/README.md") == card);
  fs::remove_all(to);
  write_whole_file(to, "a file");
  refuse("timm", full + ": is a file, not a folder");
  CHECK(read_whole_file(to) == "a file");
}
