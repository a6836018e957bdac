#include <torch/types.h>

#include <filesystem>

#include "error.h"
#include "files.h"
#include "fuzz/mutate.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"
#include "support/torch_save.h"

namespace previt {
namespace {
namespace fs = std::filesystem;
using test::pickled;
using test::torch_save;

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

// A ViT's weights, all of one value, which tells it from another.
NamedTensors weights_of(double value) {
  NamedTensors weights = named_tensors(Vit(test::small_vit()));
  for (auto& [name, tensor] : weights) tensor = torch::full_like(tensor, value).detach();
  return weights;
}

NamedTensors under(const std::string& prefix, const NamedTensors& weights) {
  NamedTensors wrapped;
  for (const auto& [name, tensor] : weights) wrapped[prefix + name] = tensor;
  return wrapped;
}

double value_in(const LoadedModel& model) {
  return model.weights.at("cls_token").flatten()[0].item<double>();
}

class WeightFiles {
 public:
  std::string write(const std::string& name, const std::string& bytes) {
    std::string path = folder.path() + "/" + name;
    write_whole_file(path, bytes);
    return path;
  }
  void refuse(const std::string& name, const std::string& bytes, const std::string& why) {
    const std::string path = write(name, bytes);
    CHECK_THROWS_WITH(load_model(path), path + ": " + why);
  }
  const TempFolder folder;
};

}  // namespace

TEST_CASE_METHOD(WeightFiles, "weights that would only half be used are refused") {
  NamedTensors weights = weights_of(1);
  std::string why;
  SECTION("channels that images don't have") {
    at::Tensor& patch = weights.at("patch_embed.proj.weight");
    patch = torch::cat({patch, patch.narrow(1, 0, 1)}, 1);
    why = "sees 4 channels; images are read as RGB (3) or made grey (1), not with others";
  }
  SECTION("quantized") {
    at::Tensor& weight = weights.at("blocks.0.mlp.fc2.weight");
    weight = weight.to(torch::kChar);
    why =
        "blocks.0.mlp.fc2.weight holds whole numbers, as quantized weights do, which are not read";
  }
  SECTION("rotary positions") {
    weights.erase("pos_embed");
    why =
        "has no positions (pos_embed or relative tables); rotary ones, as DINOv3's, are not "
        "supported";
  }
  SECTION("a norm before the blocks") {
    weights["norm_pre.weight"] = torch::ones({24});
    why = "norm_pre.weight is no part of our Vision Transformer";
  }
  const std::string path = folder.path() + "/weights.safetensors";
  write_safetensors(path, weights);
  CHECK_THROWS_WITH(load_model(path), path + ": " + why);
}

TEST_CASE_METHOD(WeightFiles, "the first bytes decide what a file of weights is") {
  const std::string saved = torch_save({{"", weights_of(1)}});
  for (const char* name :
       {"lightning.ckpt", "model_best.pth.tar", "PLAIN.PTH", "none", "a.bin", "b.safetensors"}) {
    INFO(name);
    CHECK(value_in(load_model(write(name, saved))) == 1);
  }
  const std::string path = folder.path() + "/weights.pth";
  write_safetensors(path, weights_of(2));
  CHECK(value_in(load_model(path)) == 2);
}

TEST_CASE_METHOD(WeightFiles, "what is saved or downloaded in the place of weights is named") {
  refuse("a.pth", "", "is empty");
  refuse(
      "a.pth", "\n<!DOCTYPE html><html>", "is a web page, not weights; download the file itself");
  refuse("a.safetensors",
         "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
         "is a Git LFS pointer, not the weights; fetch them with git lfs pull");
  refuse("a.json", "{\"a\": 1}", "is JSON, not weights; give the folder it is in");
  refuse("a.pth.tar.gz", "\x1f\x8b\x08 and more", "is compressed; unpack it");
  std::string tar(1024, '\0');
  tar.replace(0, 7, "storage").replace(257, 5, "ustar");
  refuse("a.pth.tar",
         tar,
         "is a tar archive, not a file of torch.save; unpack it, or save it again with a newer "
         "PyTorch");
  refuse("jit.pt",
         write_zip({{"jit/data.pkl", "."}, {"jit/constants.pkl", "."}}),
         "is a TorchScript archive; save the state_dict() of its module");
  const std::string module = "cmodels\nNet\n)\x81}(" + pickled("_modules") + "}ub.";
  refuse("whole.pth",
         write_zip({{"archive/data.pkl", module}}),
         "holds a whole Python module, not its weights; save its state_dict()");
  refuse(
      "plain.pkl",
      "\x80\x04}.",
      "holds no Vision Transformer (no patch_embed.proj.weight); docs/weight_formats.md has those "
      "that are read");
}

TEST_CASE_METHOD(WeightFiles, "wrappers around all names of a file come off") {
  for (const char* prefix :
       {"module.", "model.", "model.module.", "module._orig_mod.", "net.backbone."}) {
    INFO(prefix);
    NamedTensors weights = under(prefix, weights_of(3));
    const LoadedModel model = load_model(write("a.ckpt", torch_save({{"state_dict", weights}})));
    CHECK(model.options.embed_dim == 24);
    CHECK(model.extra.empty());
    CHECK(model.choice.empty());
  }
  // A compiled block; a head beside the backbone of a Lightning module; a head of something wider.
  NamedTensors weights;
  for (const auto& [name, tensor] : weights_of(3)) {
    const bool block = name.starts_with("blocks.1.");
    weights["model.vit." + (block ? "blocks.1._orig_mod." + name.substr(9) : name)] = tensor;
  }
  weights["model.head.weight"] = torch::zeros({5, 24});
  weights["model.head.bias"] = torch::zeros({5});
  CHECK(load_model(write("a.ckpt", torch_save({{"state_dict", weights}}))).options.num_classes ==
        5);
  weights["model.head.weight"] = torch::zeros({5, 48});
  const LoadedModel wider = load_model(write("a.ckpt", torch_save({{"state_dict", weights}})));
  CHECK(wider.options.num_classes == 0);
  CHECK(wider.extra.contains("head.bias"));
}

TEST_CASE_METHOD(WeightFiles, "objects beside the weights are passed over") {
  // An object that holds itself, as configurations do; a function; attributes of a parameter.
  const std::string circle = "cconf\nConf\n)\x81q\1}(" + pickled("parent") + "h\1ub";
  const std::string more = pickled("hyper_parameters") + circle + pickled("args") + circle +
                           pickled("callbacks") + "cos\nsystem\n(" + pickled("true") + "tR";
  CHECK(value_in(load_model(write("a.ckpt", torch_save({{"state_dict", weights_of(4)}}, more)))) ==
        4);
}

TEST_CASE_METHOD(WeightFiles, "of weights and their average the one that is wanted is taken") {
  const auto [plain, average] = GENERATE(table<std::string, std::string>(
      {{"state_dict", "state_dict_ema"}, {"model", "model_ema"}, {"model", "ema"}}));
  const std::string both = write("both.pth",
                                 torch_save({{plain, under("module.", weights_of(1))},
                                             {average, under("module.", weights_of(2))}}));
  const LoadedModel first = load_model(both);
  CHECK(value_in(first) == 1);
  CHECK(first.choice == plain + ".module is used, not " + average + ".module");
  CHECK(value_in(load_model(both, nullptr, {.network = "model"})) == 1);
  CHECK(value_in(load_model(both, nullptr, {.network = "ema"})) == 2);
  CHECK(value_in(load_model(both, nullptr, {.network = average})) == 2);
  CHECK_THROWS_WITH(load_model(both, nullptr, {.network = "teacher"}),
                    both + ": has no teacher weights, only: ema, model");

  const std::string only = write("only.pth", torch_save({{average, weights_of(2)}}));
  CHECK(value_in(load_model(only)) == 2);
  CHECK(load_model(only).choice.empty());
  CHECK_THROWS_WITH(load_model(only, nullptr, {.network = "model"}),
                    only + ": has no model weights, only: ema");
}

TEST_CASE_METHOD(WeightFiles, "networks that share a state_dict don't mix") {
  NamedTensors weights = weights_of(1);
  weights.merge(under("ema_model.", weights_of(2)));
  weights.erase("norm.bias");
  const std::string path = write("a.ckpt", torch_save({{"state_dict", weights}}));
  const LoadedModel average = load_model(path, nullptr, {.network = "ema"});
  for (const auto& [name, tensor] : average.weights) {
    INFO(name);
    CHECK((tensor == 2).all().item<bool>());
  }
  CHECK(value_in(load_model(path)) == 1);
  CHECK_FALSE(load_model(path).weights.contains("norm.bias"));
}

TEST_CASE_METHOD(WeightFiles, "of DINO's networks any can be had") {
  const std::string path = kFixtures + "dino_checkpoint_a.pth";
  const LoadedModel teacher = load_model(path);
  CHECK(teacher.choice == "teacher.backbone is used, not student.module.backbone");
  const LoadedModel student = load_model(path, nullptr, {.network = "student"});
  CHECK_FALSE(torch::equal(student.weights.at("cls_token"), teacher.weights.at("cls_token")));
  CHECK(load_model(path, nullptr, {.network = "teacher"}).choice == teacher.choice);
}

TEST_CASE_METHOD(WeightFiles, "positions of no square grid need an image size") {
  NamedTensors weights = weights_of(1);
  weights.at("pos_embed") = torch::ones({1, 7, 24});
  const std::string path = write("wide.pth", torch_save({{"", weights}}));
  CHECK_THROWS_WITH(load_model(path),
                    ContainsSubstring("give --set model.image_size=[HEIGHT,WIDTH]"));
  const LoadHints other = {.image_size = {16, 16}};
  CHECK_THROWS_AS(load_model(path, nullptr, other), Error);
  CHECK(load_model(path, nullptr, {.image_size = {16, 24}}).options.image_size ==
        std::vector<int64_t>{16, 24});
  // A square one is what it is.
  const std::string square = write("square.pth", torch_save({{"", weights_of(1)}}));
  CHECK(load_model(square, nullptr, {.image_size = {8, 32}}).options.image_height() == 16);
}

TEST_CASE_METHOD(WeightFiles, "our own files hold one network") {
  const std::string own = test::tiny_checkpoint(folder.path());
  CHECK(load_model(own, nullptr, {.network = "model"}).heads_told);
  CHECK_THROWS_WITH(load_model(own, nullptr, {.network = "ema"}),
                    own + ": has no ema weights, only: model");
}

TEST_CASE_METHOD(WeightFiles, "weights that are no finite numbers are refused by name") {
  for (const double bad : {NAN, INFINITY, -INFINITY}) {
    NamedTensors weights = weights_of(1);
    weights.at("blocks.1.mlp.fc1.bias").flatten()[3] = bad;
    const std::string path = write("bad.pth", torch_save({{"model", weights}}));
    CHECK_THROWS_WITH(load_model(path), path + ": blocks.1.mlp.fc1.bias holds NaN or infinity");
  }
  NamedTensors large = weights_of(1);
  large.at("norm.bias") = torch::full({24}, 60000., torch::kHalf);  // whose sum is none of half's
  const std::string path = folder.path() + "/large.safetensors";
  write_safetensors(path, large);
  CHECK(load_model(path).weights.contains("norm.bias"));
}

}  // namespace previt
