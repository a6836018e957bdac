#include <torch/utils.h>

#include <cstdlib>
#include <filesystem>

#include "commands/convert.h"
#include "files.h"
#include "finetune/model.h"
#include "finetune/probes/features.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/program.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

const NormalizeOptions kOddNormalization = {.mean = {0.1, 0.2, 0.3}, .std = {0.5, 0.6, 0.7}};

// A file of ours with random weights, and three class names if it has classes.
std::string weights_in(const std::string& folder, VitOptions options) {
  options.arch = "custom";
  const auto vit = random_vit(options);
  std::vector<std::string> names;
  if (options.num_classes > 0) names = {"cat", "dog", "caf\xE9 \"x\""};
  std::string path = folder + "/from.safetensors";
  write_safetensors(
      path, named_tensors(*vit), model_metadata(vit->options(), kOddNormalization, names, 0.8));
  return path;
}

int to_onnx(const std::string& from, const std::string& to, const Words& more = {}) {
  return call(cli::convert_options(),
              cli::convert,
              Words{"--from", from, "--to", to, "--format", "onnx"} + more);
}

nlohmann::json about(const std::string& folder) {
  return nlohmann::json::parse(read_whole_file(folder + "/model.json"));
}

// Writes beside a folder, for tools/peers/check_export.py, what PreViT makes of random pixels of
// this size: `number` tells several files of a folder apart.
void write_check(const std::string& folder,
                 const std::string& from,
                 int64_t height,
                 int64_t width,
                 const std::string& number = "") {
  const torch::NoGradGuard no_grad;
  const LoadedModel model = load_model(from);
  const auto vit = vit_from_checkpoint(model, model.options, {.keep = true});
  vit->eval();
  const nlohmann::json made = about(folder);
  torch::manual_seed(height + width);
  const at::Tensor bytes =
      torch::randint(256, {2, model.options.in_channels, height, width}).to(torch::kUInt8);
  const at::Tensor images = normalize(bytes, model.normalize, torch::kCPU);
  NamedTensors check = {
      {"pixels", made.at("pixels") == "normalized" ? images : bytes.to(torch::kFloat)}};
  if (made.at("outputs") == "logits") {
    check["logits"] = vit->forward(images);
  } else {
    check["cls"] = features_of(*vit, images, {.tokens = FeatureTokens::cls});
    check["mean"] = features_of(*vit, images, {.tokens = FeatureTokens::mean});
    check["patches"] = features_of(*vit, images, {.tokens = FeatureTokens::patches});
  }
  if (made.at("outputs") == "attention") check["attention"] = vit->attention(images);
  write_safetensors(folder + ".check" + number + ".safetensors", check);
}

}  // namespace

TEST_CASE("ONNX Runtime gives what the network gives, at every size", "[convert][onnx]") {
  const TempFolder temp;
  struct Sort {
    void (*change)(VitOptions&);
    Words words;
    std::string outputs;  // that model.json must name
  };
  const std::vector<Sort> sorts = {
      {[](VitOptions& o) { o.num_classes = 3; }, {}, "logits"},
      {[](VitOptions& o) { o.num_classes = 3; }, {"--raw-pixels", "--opset", "18"}, "logits"},
      {[](VitOptions& o) { o.num_classes = 3; }, {"--backbone"}, "features"},
      {[](VitOptions&) {}, {"--outputs", "attention"}, "attention"},
      {[](VitOptions& o) { o.pos_resize = ResizeConvention::timm; },
       {"--dynamic-size"},
       "features"},
      {[](VitOptions& o) {
         o.pos_resize = ResizeConvention::dino;
         o.register_tokens = 2;
       },
       {"--dynamic-size"},
       "features"},
      {[](VitOptions& o) {
         o.pos_embed = PosEmbed::sincos;
         o.pos_resize = ResizeConvention::mae;
       },
       {"--dynamic-size", "--raw-pixels"},
       "features"},
      {[](VitOptions& o) { o.rel_pos_bias = RelPosBias::per_block; },
       {"--image-size", "24"},
       "features"},
  };
  Words folders;
  for (const Sort& sort : sorts) {
    VitOptions options = tiny_vit();
    sort.change(options);
    const std::string from = weights_in(temp.path(), options);
    const std::string to = fmt::format("{}/folders/{}", temp.path(), folders.size());
    REQUIRE(to_onnx(from, to, sort.words) == 0);
    const nlohmann::json made = about(to);
    CHECK(made.at("outputs") == sort.outputs);
    const int64_t side = made.at("height");
    write_check(to, from, side, side);
    if (made.at("dynamic_size") == true) {
      write_check(to, from, 24, 16, "2");
      write_check(to, from, 36, 44, "3");
    }
    folders.push_back(to);
  }
  const char* python = std::getenv("PREVIT_ONNX_PYTHON");
  if (python == nullptr) {
    WARN("PREVIT_ONNX_PYTHON is not set: ONNX Runtime doesn't read what was written");
    return;
  }
  const std::string script = PREVIT_SOURCE_DIR "/tools/peers/check_export.py";
  const Outcome outcome =
      run_program(python, Words{script} + folders + Words{"--tolerance", "1e-4"});
  INFO(outcome.output << outcome.errors);
  CHECK(outcome.code == 0);
}

TEST_CASE("an ONNX folder says what a program must know", "[convert][onnx]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  options.num_classes = 3;
  const std::string from = weights_in(temp.path(), options), to = temp.path() + "/out";
  REQUIRE(to_onnx(from, to) == 0);
  const nlohmann::json want = {{"opset", 13},
                               {"outputs", "logits"},
                               {"pixels", "normalized"},
                               {"channels", "RGB"},
                               {"mean", {0.1, 0.2, 0.3}},
                               {"std", {0.5, 0.6, 0.7}},
                               {"height", 16},
                               {"width", 16},
                               {"dynamic_size", false},
                               {"patch", 4},
                               {"resize_shortest_side", 20},
                               {"crop", "center"},
                               {"interpolation", "bicubic"},
                               {"class_names", {"cat", "dog", "caf\\xE9 \"x\""}}};
  CHECK(about(to) == want);
  const std::string model = read_whole_file(to + "/model.onnx");
  CHECK_THAT(model, ContainsSubstring(R"(["cat","dog","caf\\xE9 \"x\""])"));
  CHECK_THAT(model, ContainsSubstring("[0.1,0.2,0.3]"));
  const std::string card = read_whole_file(to + "/README.md");
  CHECK(card.starts_with("---\nlibrary_name: onnx\nlicense: unknown\n"));
  CHECK_THAT(card, ContainsSubstring("ONNX, opset 13"));
  CHECK_FALSE(fs::exists(to + ".partial"));
}

TEST_CASE("what ONNX can't be given is refused, and leaves no folder", "[convert][onnx]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  options.rel_pos_bias = RelPosBias::per_block;
  const std::string from = weights_in(temp.path(), options), to = temp.path() + "/out";
  const auto refuse = [&](const Words& words, const std::string& message) {
    CHECK_THROWS_WITH(to_onnx(from, to, words), message);
    CHECK_FALSE(fs::exists(to));
    CHECK_FALSE(fs::exists(to + ".partial"));
  };
  refuse({"--dynamic-size"}, "dynamic size: this network's relative positions belong to one size");
  refuse({"--dynamic-size", "--opset", "13"}, "opset: 13, but images of any size need 18");
  refuse({"--opset", "12"}, "--opset: 12 is neither 13 nor 18");
  refuse({"--outputs", "logits"}, "outputs: logits, but the network has no classes");
  refuse({"--image-size", "18"}, "--image-size: 18 is not a multiple of the patch, 4");
  CHECK_THROWS_WITH(call(cli::convert_options(),
                         cli::convert,
                         {"--from", from, "--to", to, "--format", "timm", "--raw-pixels"}),
                    "--raw-pixels: only with --format onnx");
}
