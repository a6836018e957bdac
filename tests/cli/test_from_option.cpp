// What every program that takes --from does with weights that others wrote.
#ifdef PREVIT_WITH_IMAGE_IO
#include <torch/types.h>

#include <functional>
#include <sstream>

#include "augment/io/tensor_file.h"
#include "commands/attention_maps.h"
#include "commands/embed.h"
#include "commands/knn_probe.h"
#include "commands/linear_probe.h"
#include "commands/predict.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/finetune_command.h"
#include "support/torch_save.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kImages = "synthetic:shapes,size=16,count=20,val=10";

// A classifier's weights, which don't tell its heads.
NamedTensors classifier(uint64_t seed) {
  torch::manual_seed(seed);
  VitOptions options = small_vit();
  options.num_classes = 10;
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(Vit(options))) {
    weights[name] = tensor.detach() + 0.1 * torch::randn_like(tensor);
  }
  return weights;
}

std::string write(const std::string& path, const std::map<std::string, NamedTensors>& dicts) {
  write_whole_file(path, torch_save(dicts));
  return path;
}

// Outside the macro: what a program throws is for the macros around it.
void require_done(int code) { REQUIRE(code == 0); }

std::string predicted(const Words& words) {
  std::ostringstream out;
  require_done(
      cli::predict(parse(cli::predict_options(), words + Words{"--images", kImages}), out));
  return out.str();
}

struct Tool {
  std::string name;
  std::function<void(const Words& words, const std::string& out)> run;
};

std::vector<Tool> tools() {
  return {{"finetune",
           [](const Words& words, const std::string& out) {
             const Words all = words + Words{"--data",
                                             kImages,
                                             "--out",
                                             out,
                                             "--set",
                                             "train.epochs=1",
                                             "--set",
                                             "schedule.warmup_epochs=0",
                                             "--set",
                                             "augment.rand_augment="};
             require_done(finetune(all));
           }},
          {"eval-only",
           [](const Words& words, const std::string& out) {
             require_done(finetune(words + Words{"--data", kImages, "--eval-only", "--out", out}));
           }},
          {"predict", [](const Words& words, const std::string&) { predicted(words); }},
          {"embed",
           [](const Words& words, const std::string& out) {
             const Words all = words + Words{"--images", kImages, "--out", out + ".h5"};
             require_done(call(cli::embed_options(), cli::embed, all));
           }},
          {"attention_maps",
           [](const Words& words, const std::string& out) {
             const Words all = words + Words{"--images", kImages, "--out", out, "--pictures", "0"};
             require_done(call(cli::attention_maps_options(), cli::attention_maps, all));
           }},
          {"knn_probe",
           [](const Words& words, const std::string& out) {
             const Words all = words + Words{"--data", kImages, "--out", out, "--k", "3"};
             require_done(call(cli::knn_probe_options(), cli::knn_probe, all));
           }},
          {"linear_probe", [](const Words& words, const std::string& out) {
             const Words all =
                 words +
                 Words{"--data", kImages, "--out", out, "--set", "epochs=1", "--set", "blocks=1"};
             require_done(call(cli::linear_probe_options(), cli::linear_probe, all));
           }}};
}

}  // namespace

TEST_CASE("every program takes the sizes that weights don't tell, and no others") {
  const TempFolder temp;
  const std::string from = write(temp.path() + "/plain.pth", {{"", classifier(1)}});
  for (const Tool& tool : tools()) {
    INFO(tool.name);
    const std::string out = temp.path() + "/" + tool.name;
    int runs = 0;
    const auto with = [&](const Words& more) {
      tool.run(Words{"--from", from} + more, out + std::to_string(++runs));
    };
    CHECK_THROWS_WITH(
        with({}),
        from + ": does not say how many attention heads it has; give --set model.num_heads=N");
    CHECK_NOTHROW(with({"--set", "model.num_heads=3"}));
    CHECK_NOTHROW(with(
        {"--set", "model.embed_dim=24", "--set", "model.depth=2", "--set", "model.num_heads=3"}));
    CHECK_THROWS_WITH(with({"--set", "model.num_heads=3", "--set", "model.embed_dim=48"}),
                      ContainsSubstring("model.embed_dim: 48, but " + from + " has 24"));
    CHECK_THROWS_WITH(with({"--set", "model.num_heads=5"}),
                      ContainsSubstring("model.embed_dim: 24 is not a multiple of num_heads 5"));
    CHECK_THROWS_AS(with({"--set", "model.num_heads=3", "--set", "model.depht=2"}), UsageError);
  }
}

TEST_CASE("every program takes the grid of positions that weights don't tell") {
  const TempFolder temp;
  NamedTensors weights = classifier(1);
  weights.at("pos_embed") = torch::randn({1, 7, 24});
  const std::string from = write(temp.path() + "/wide.pth", {{"", weights}});
  for (const Tool& tool : tools()) {
    INFO(tool.name);
    CHECK_NOTHROW(tool.run(
        {"--from", from, "--set", "model.num_heads=3", "--set", "model.image_size=[16,24]"},
        temp.path() + "/" + tool.name));
  }
}

TEST_CASE("heads that are only usual for a width may be given") {
  const TempFolder temp;
  VitOptions options = small_vit();
  options.embed_dim = 192;
  options.num_heads = 12;
  options.num_classes = 3;
  const Vit vit(options);
  const std::string from = write(temp.path() + "/a.pth", {{"model", named_tensors(vit)}});
  const std::string usual = predicted({"--from", from});
  CHECK(usual == predicted({"--from", from, "--set", "model.num_heads=3"}));
  CHECK(usual != predicted({"--from", from, "--set", "model.num_heads=12"}));
  write_safetensors(
      temp.path() + "/own.safetensors", named_tensors(vit), model_metadata(vit.options(), {}, {}));
  CHECK_THROWS_WITH(
      predicted({"--from", temp.path() + "/own.safetensors", "--set", "model.num_heads=3"}),
      ContainsSubstring("model.num_heads: 3, but"));
}

TEST_CASE("how pixels are normalised may be given") {
  const TempFolder temp;
  const std::string from = write(temp.path() + "/a.pth", {{"model", classifier(1)}});
  const auto with = [&](const Words& more) {
    return predicted(Words{"--from", from, "--set", "model.num_heads=3"} + more);
  };
  const Words half = {"--set", "normalize.mean=[.5,.5,.5]", "--set", "normalize.std=[.5,.5,.5]"};
  const Words usual = {
      "--set", "normalize.mean=[.485,.456,.406]", "--set", "normalize.std=[.229,.224,.225]"};
  CHECK(with({}) == with(usual));
  CHECK(with({}) != with(half));
  CHECK_THROWS_WITH(
      with({"--set", "normalize.mean=[.5]"}),
      "normalize: 1 means and 3 standard deviations, but " + from + " sees 3 channels");
  for (const Tool& tool : tools()) {
    INFO(tool.name);
    CHECK_NOTHROW(tool.run(Words{"--from", from, "--set", "model.num_heads=3"} + half,
                           temp.path() + "/" + tool.name));
  }
}

TEST_CASE("every program refuses weights that are no finite numbers") {
  const TempFolder temp;
  NamedTensors weights = classifier(1);
  weights.at("blocks.0.mlp.fc1.weight")[3][4] = NAN;
  const std::string from = write(temp.path() + "/nan.pth", {{"model", weights}});
  for (const Tool& tool : tools()) {
    INFO(tool.name);
    const std::string out = temp.path() + "/" + tool.name;
    CHECK_THROWS_WITH(tool.run({"--from", from, "--set", "model.num_heads=3"}, out),
                      from + ": blocks.0.mlp.fc1.weight holds NaN or infinity");
    CHECK_FALSE(std::filesystem::exists(out + ".h5"));
  }
}

TEST_CASE("features that overflow are an error, not numbers in a file") {
  const TempFolder temp;
  NamedTensors weights = classifier(1);
  weights.at("norm.weight").fill_(1e38);
  weights.at("norm.bias").fill_(3e38);
  weights.at("head.weight").fill_(1e38);
  const std::string from = write(temp.path() + "/large.pth", {{"model", weights}});
  for (const Tool& tool : tools()) {
    if (tool.name == "finetune" || tool.name == "eval-only" || tool.name == "attention_maps")
      continue;
    INFO(tool.name);
    CHECK_THROWS_WITH(
        tool.run({"--from", from, "--set", "model.num_heads=3"}, temp.path() + "/" + tool.name),
        ContainsSubstring("holds NaN or infinity"));
  }
}

TEST_CASE("every program takes the moving average where it is asked for") {
  const TempFolder temp;
  const std::string both =
      write(temp.path() + "/both.pth",
            {{"state_dict", classifier(1)}, {"state_dict_ema", classifier(2)}});
  const std::string plain = write(temp.path() + "/plain.pth", {{"state_dict", classifier(1)}});
  const std::string average = write(temp.path() + "/ema.pth", {{"state_dict_ema", classifier(2)}});
  const Words heads = {"--set", "model.num_heads=3"};
  CHECK(predicted(Words{"--from", both} + heads) == predicted(Words{"--from", plain} + heads));
  CHECK(predicted(Words{"--from", both, "--weights", "ema"} + heads) ==
        predicted(Words{"--from", average} + heads));
  for (const Tool& tool : tools()) {
    INFO(tool.name);
    const std::string out = temp.path() + "/" + tool.name;
    CHECK_NOTHROW(tool.run(Words{"--from", both, "--weights", "ema"} + heads, out));
    CHECK_THROWS_WITH(tool.run(Words{"--from", plain, "--weights", "ema"} + heads, out),
                      plain + ": has no ema weights, only: model");
  }
}
#endif
