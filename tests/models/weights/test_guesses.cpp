// What a file of weights doesn't say: where it is looked for, and what is taken and told instead.
#include <torch/types.h>

#include <filesystem>

#include "files.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"
#include "support/torch_save.h"

namespace previt {
namespace {

using nlohmann::json;
using test::pickled;
using test::torch_save;

const std::vector<double> kHalf = {0.5, 0.5, 0.5}, kImageNet = NormalizeOptions().mean;

NamedTensors weights_of(const VitOptions& options, const std::string& prefix = "") {
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(Vit(options))) {
    weights[prefix + name] = tensor.detach();
  }
  return weights;
}

// `depth` blocks of a width for which three heads are usual.
VitOptions usual(int64_t depth) {
  VitOptions options = tiny_vit();
  options.embed_dim = 192;
  options.depth = depth;
  options.num_heads = 3;
  options.mlp_ratio = 0.25;
  return options;
}

VitOptions beit() {
  VitOptions options = tiny_vit();
  options.pos_embed = PosEmbed::none;
  options.rel_pos_bias = RelPosBias::shared;
  options.qkv_bias = QkvBias::qv;
  options.layer_scale = 0.1;
  return options;
}

// The pickle of `args` beside state_dicts, with one key and the pickle of its value.
std::string args(const std::string& key, const std::string& value) {
  return pickled("args") + "}(" + pickled(key) + value + "u";
}

// A model, and what was said of it.
struct Read {
  LoadedModel model;
  std::vector<std::string> warnings;
};

class Sources {
 public:
  Read read(const std::string& path, const LoadHints& hints = {}) const {
    Read result;
    result.model = load_model(path, &result.warnings, hints);
    return result;
  }
  Read saved(const std::map<std::string, NamedTensors>& dicts, const std::string& more = "") const {
    write_whole_file(at("a.pth"), torch_save(dicts, more));
    return read(at("a.pth"));
  }
  // A folder of timm.
  void write_timm(const NamedTensors& weights, json config) const {
    config["architecture"] = "vit_base_patch16_224";
    write_safetensors(at("model.safetensors"), weights);
    write_whole_file(at("config.json"), config.dump());
  }
  std::string at(const std::string& name) const { return folder.path() + "/" + name; }
  const TempFolder folder;
};

}  // namespace

TEST_CASE_METHOD(Sources, "heads that are only usual for the width are told") {
  const std::string path = at("a.safetensors");
  write_safetensors(path, weights_of(usual(2)));
  const Read found = read(path);
  CHECK(found.model.options.num_heads == 3);
  REQUIRE(found.warnings.size() == 2);
  CHECK(found.warnings[0] ==
        path +
            ": does not say how pixels are normalised; mean 0.485, 0.456, 0.406 and standard "
            "deviation 0.229, 0.224, 0.225 are taken (--set normalize.mean=[R,G,B] --set "
            "normalize.std=[R,G,B])");
  CHECK(found.warnings[1] ==
        path +
            ": does not say how many attention heads it has; 3 are taken, usual for "
            "its width (--set model.num_heads=N)");
  CHECK(read(path, {.heads_said = true}).warnings.size() == 1);
  write_timm(weights_of(usual(2)),
             {{"model_args", {{"num_heads", 3}}}, {"mean", kHalf}, {"std", kHalf}});
  CHECK(read(folder.path()).warnings.empty());
}

TEST_CASE_METHOD(Sources, "authors whose networks of a size are alike leave no doubt of heads") {
  const NamedTensors tiny = weights_of(usual(12));
  CHECK(saved({{"model", tiny}}).warnings.empty());
  CHECK(saved({{"state_dict", tiny}}).warnings.size() == 1);
  CHECK(saved({{"model", weights_of(usual(2))}}).warnings.size() == 1);  // of no size of theirs
}

TEST_CASE_METHOD(Sources, "arguments that name the size confirm its heads") {
  const auto named = [&](const char* arch) {
    return saved({{"state_dict", weights_of(usual(2))}}, args("arch", pickled(arch)));
  };
  CHECK(named("vit_tiny").model.heads_told);
  CHECK(named("vit_tiny").warnings.empty());
  CHECK_FALSE(named("vit_small").model.heads_told);  // of another width
  CHECK(named("vit_small").model.options.num_heads == 3);
}

TEST_CASE_METHOD(Sources, "MoCo v3's small networks have twelve heads, the others the usual ones") {
  VitOptions options = usual(1);
  options.embed_dim = 384;
  options.num_heads = 12;
  NamedTensors both = weights_of(options, "module.base_encoder.");
  both.merge(weights_of(options, "module.momentum_encoder."));
  const Read moco = saved({{"state_dict", both}});
  CHECK(moco.model.options.num_heads == 12);
  CHECK(moco.model.options.arch == "custom");
  CHECK(moco.model.heads_told);
  CHECK(moco.warnings.empty());
  CHECK(saved({{"state_dict", weights_of(options, "module.")}}).model.options.num_heads == 6);
  options.embed_dim = 768;
  const Read base = saved({{"state_dict", weights_of(options, "module.momentum_encoder.")}});
  CHECK(base.model.options.num_heads == 12);
  CHECK(base.warnings.empty());
}

TEST_CASE_METHOD(Sources, "BEiT's pixels are normalised as its arguments or its scripts say") {
  const std::string flag = "imagenet_default_mean_and_std";
  const NamedTensors weights = weights_of(beit());
  const Read untold = saved({{"model", weights}});
  CHECK(untold.model.normalize.mean == kHalf);
  CHECK(untold.model.normalize.std == kHalf);
  REQUIRE(untold.warnings.size() == 1);
  CHECK_THAT(untold.warnings[0],
             ContainsSubstring("a.pth: does not say how pixels are normalised; mean 0.5, 0.5, 0.5 "
                               "and standard deviation 0.5, 0.5, 0.5 are taken, as BEiT's scripts "
                               "do unless told otherwise (--set normalize.mean="));
  CHECK(read(at("a.pth"), {.normalize_said = true}).warnings.empty());
  const Read imagenet = saved({{"model", weights}}, args(flag, "\x88"));
  CHECK(imagenet.model.normalize.mean == kImageNet);
  CHECK(imagenet.warnings.empty());
  const Read half = saved({{"model", weights}}, args(flag, "\x89"));
  CHECK(half.model.normalize.mean == kHalf);
  CHECK(half.warnings.empty());
  const Read simmim = saved({{"model", weights_of(beit(), "encoder.")}});
  CHECK(simmim.model.normalize.mean == kImageNet);
  CHECK(simmim.warnings.empty());
}

TEST_CASE_METHOD(Sources, "an older configuration of timm says the same at the top") {
  const std::vector<double> mean = {0.1, 0.2, 0.3}, deviation = {0.4, 0.5, 0.6};
  write_timm(weights_of(tiny_vit()), {{"mean", mean}, {"std", deviation}, {"crop_pct", 0.9}});
  const LoadedModel model = read(folder.path()).model;
  CHECK(model.normalize.mean == mean);
  CHECK(model.normalize.std == deviation);
  CHECK(model.crop_pct == 0.9);
}

TEST_CASE_METHOD(Sources, "weights named as in a folder are read with what lies beside them") {
  VitOptions options = tiny_vit();
  options.num_classes = 2;
  const json config = {{"model_args", {{"num_heads", 2}}},
                       {"pretrained_cfg", {{"mean", kHalf}, {"std", kHalf}}},
                       {"label_names", {"cat", "dog"}}};
  NamedTensors weights = weights_of(options);
  write_timm(weights, config);
  const LoadedModel model = read(at("model.safetensors")).model;
  CHECK(model.options.num_heads == 2);
  CHECK(model.normalize.mean == kHalf);
  CHECK(model.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(model.source == at("model.safetensors"));

  weights["cls_token"] = torch::full({1, 1, 16}, 7.);
  write_whole_file(at("pytorch_model.bin"), torch_save({{"", weights}}));
  const LoadedModel named = read(at("pytorch_model.bin")).model;
  CHECK(named.options.num_heads == 2);
  CHECK(named.weights.at("cls_token").equal(weights["cls_token"]));

  std::filesystem::copy(at("model.safetensors"), at("other.safetensors"));
  CHECK(read(at("other.safetensors")).model.options.num_heads == 0);
}

}  // namespace previt
