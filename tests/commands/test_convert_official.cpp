// Own runs become the authors' files, and folders of other libraries.
#include <torch/types.h>

#include <filesystem>

#include "files.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/pth.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/convert_command.h"
#include "support/finetune_command.h"
#include "support/pretrain_command.h"
#include "support/same_tensors.h"

using namespace previt;
using namespace previt::test;

namespace {

// Five steps of a network of two blocks on 4 x 4 patches of 4 pixels.
std::string run_of(const std::string& folder, const std::string& recipe, const Words& more) {
  const std::string file = folder + "/recipe.yaml", out = folder + "/run";
  write_whole_file(file, recipe);
  const Words words = {"--recipe", file, "--device", "cpu", "--out", out};
  const Words common = {"data.path=synthetic:shapes,size=16,count=40,val=20",
                        "model.image_size=[16]",
                        "model.patch_size=4",
                        "model.embed_dim=24",
                        "model.depth=2",
                        "model.num_heads=2",
                        "train.epochs=1",
                        "train.batch=8",
                        "train.precision=fp32",
                        "schedule.warmup_epochs=0",
                        "data.workers=1",
                        "output.preview_images=0",
                        "knn.epochs=0"};
  require(pretrain(words + settings(common) + settings(more)) == 0, "{}: the run failed", out);
  return out;
}

Words small_head(const std::string& method) {
  return {method + ".head.out_dim=32",
          method + ".head.hidden_dim=16",
          method + ".head.bottleneck_dim=8",
          "augment.local.height=8",
          "augment.local.width=8"};
}

NamedTensors dict_of(const std::string& folder, const std::string& key) {
  const PthFile file = read_pth(folder + "/checkpoint.pth");
  const PickleValue* dict = file.root->find(key);
  return dict == nullptr ? NamedTensors() : tensors_in(*dict);
}

// The tensors whose names begin so, with another beginning.
void add_renamed(NamedTensors& to,
                 const NamedTensors& from,
                 const std::string& start,
                 const std::string& other) {
  for (const auto& [name, tensor] : from) {
    if (name.starts_with(start)) to[other + name.substr(start.size())] = tensor;
  }
}

// What PreViT makes of random pixels, beside the folder.
void write_features(const std::string& folder, const LoadedModel& model) {
  const torch::NoGradGuard no_grad;
  Vit vit(model.options);
  REQUIRE(load_into(vit, model.weights).missing.empty());
  vit.eval();
  torch::manual_seed(3);
  const at::Tensor pixels = torch::randn({2, 3, 16, 16});
  write_safetensors(folder + ".check.safetensors",
                    {{"pixels", pixels}, {"features", vit.forward_features(pixels)}});
}

// Reads back what is written as the same network with its view.
void check_same_model(const std::string& folder, const LoadedModel& before) {
  const LoadedModel after = load_model(folder);
  check_same_tensors(after.weights, before.weights);
  CHECK(after.normalize.mean == before.normalize.mean);
  CHECK(after.class_names == before.class_names);
  CHECK(after.options.image_size == before.options.image_size);
  CHECK(after.options.num_heads == before.options.num_heads);
}

}  // namespace

TEST_CASE("a run of DINO becomes its authors' checkpoint", "[convert]") {
  const TempFolder temp;
  const std::string run =
      run_of(temp.path(), "objective: dino\n", small_head("dino") + Words{"dino.local_crops=2"});
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(run, to, "official") == 0);
  const LoadedModel before = load_model(run);
  NamedTensors teacher, student;
  add_renamed(teacher, before.weights, "", "backbone.");
  add_renamed(teacher, before.extra, "objective.teacher.head.", "head.");
  add_renamed(student, before.extra, "objective.student.", "module.");
  CHECK(teacher.contains("head.last_layer.weight_v"));
  check_same_tensors(dict_of(to, "teacher"), teacher);
  check_same_tensors(dict_of(to, "student"), student);
  check_same_tensors(dict_of(to, "dino_loss"), {{"center", before.extra.at("objective.center")}});
  check_same_model(to, before);
  CHECK_THAT(read_whole_file(to + "/README.md"),
             ContainsSubstring("as facebookresearch/dino, bytedance/ibot stores it"));
  write_features(to, before);
  check_in_python({to});
}

TEST_CASE("a run of iBOT becomes its authors' checkpoint", "[convert]") {
  const TempFolder temp;
  const std::string run = run_of(temp.path(), "objective: ibot\n", small_head("ibot"));
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(run, to, "official") == 0);
  const LoadedModel before = load_model(run);
  const NamedTensors student = dict_of(to, "student");
  const auto own = [&](const std::string& name) { return before.extra.at("objective." + name); };
  CHECK(torch::equal(student.at("module.backbone.masked_embed"), own("student.masked_embed")));
  for (const char* layer : {"last_layer", "last_layer2"}) {  // one, under both names
    INFO(layer);
    CHECK(torch::equal(student.at(fmt::format("module.head.{}.weight_v", layer)),
                       own("student.head.last_layer.weight_v")));
    CHECK(torch::equal(dict_of(to, "teacher").at(fmt::format("head.{}.weight_v", layer)),
                       own("teacher.head.last_layer.weight_v")));
  }
  check_same_tensors(dict_of(to, "ibot_loss"),
                     {{"center", own("center")}, {"center2", own("center2")}});
  check_same_model(to, before);
  check_in_python({to});
}

TEST_CASE("a run of DINOv2 becomes a backbone as its authors publish them", "[convert]") {
  const TempFolder temp;
  const std::string run =
      run_of(temp.path(),
             "objective: dinov2\n",
             small_head("dinov2") + Words{"dinov2.local_crops=2", "model.register_tokens=2"});
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(run, to, "official") == 0);
  const LoadedModel before = load_model(run), after = load_model(to);
  check_same_tensors(after.weights, before.weights);
  CHECK(after.options.register_tokens == 2);
  CHECK(
      torch::equal(after.extra.at("mask_token"), before.extra.at("objective.teacher.mask_token")));
}

TEST_CASE("a run of MAE becomes its authors' checkpoint, with its average where it has one",
          "[convert]") {
  const TempFolder temp;
  const std::string run = run_of(temp.path(),
                                 "objective: mae\n",
                                 {"mae.decoder.embed_dim=16",
                                  "mae.decoder.depth=1",
                                  "mae.decoder.num_heads=2",
                                  "train.ema_decay=0.9"});
  const std::string to = temp.path() + "/out";
  REQUIRE(convert(run, to, "official") == 0);
  const LoadedModel before = load_model(run);
  NamedTensors model = before.weights;
  add_renamed(model, before.extra, "average.", "");
  CHECK(model.contains("decoder_pos_embed"));
  check_same_tensors(dict_of(to, "model"), model);
  check_same_model(to, before);
  write_features(to, before);
  check_in_python({to});
}

TEST_CASE("a run of SimMIM on a plain ViT leaves for transformers with its decoder", "[convert]") {
  const TempFolder temp;
  const std::string run = run_of(temp.path(),
                                 "objective: simmim\n",
                                 {"simmim.mask_unit=8",
                                  "model.pos_embed=learned",
                                  "model.rel_pos_bias=none",
                                  "model.qkv_bias=full",
                                  "model.layer_scale=0"});
  const std::string hf = temp.path() + "/hf", timm = temp.path() + "/timm";
  REQUIRE(convert(run, hf, "hf") == 0);
  const LoadedModel before = load_model(run), after = load_model(hf);
  check_same_model(hf, before);
  const at::Tensor& decoder = before.extra.at("objective.decoder.weight");
  check_same_tensors(after.extra,
                     {{"mask_token", before.extra.at("objective.mask_token")},
                      {"decoder.0.weight", decoder.reshape({48, 24, 1, 1})},
                      {"decoder.0.bias", before.extra.at("objective.decoder.bias")}});
  const auto config = nlohmann::json::parse(read_whole_file(hf + "/config.json"));
  CHECK(config.at("architectures").at(0) == "ViTForMaskedImageModeling");
  CHECK(config.at("encoder_stride") == 4);
  REQUIRE(convert(run, timm, "timm") == 0);
  CHECK(load_model(timm).extra.empty());
  check_in_python({hf});

  const std::string from = temp.path() + "/from";
  REQUIRE(pretrain(Words{"--recipe", temp.path() + "/recipe.yaml", "--from", hf, "--out", from} +
                   Words{"--device", "cpu"} +
                   settings({"data.path=synthetic:shapes,size=16,count=40,val=20",
                             "simmim.mask_unit=8",
                             "optimizer.base_lr=0",
                             "train.epochs=1",
                             "train.batch=8",
                             "schedule.warmup_epochs=0",
                             "schedule.warmup_lr=0",
                             "data.workers=1",
                             "output.preview_images=0",
                             "knn.epochs=0"})) == 0);
  CHECK(torch::equal(load_model(from).extra.at("objective.decoder.weight"), decoder));
}

TEST_CASE("a run of BEiT leaves with its head, to its authors and to transformers", "[convert]") {
  const TempFolder temp;
  const std::string run =
      run_of(temp.path(),
             "objective: beit\n",
             {"beit.tokenizer=colors:12", "beit.masked_patches=6", "beit.block.min_patches=2"});
  const std::string official = temp.path() + "/official", hf = temp.path() + "/hf";
  REQUIRE(convert(run, official, "official") == 0);
  REQUIRE(convert(run, hf, "hf") == 0);
  const LoadedModel before = load_model(run);
  NamedTensors head;
  add_renamed(head, before.extra, "objective.", "");
  CHECK(head.contains("mask_token"));
  CHECK(head.contains("lm_head.weight"));
  for (const std::string& folder : {official, hf}) {
    check_same_model(folder, before);
    check_same_tensors(load_model(folder).extra, head);
  }
  CHECK(dict_of(official, "model").contains("blocks.0.gamma_1"));
  CHECK(dict_of(official, "model").contains("rel_pos_bias.relative_position_index"));
  const auto config = nlohmann::json::parse(read_whole_file(hf + "/config.json"));
  CHECK(config.at("architectures").at(0) == "BeitForMaskedImageModeling");
  CHECK(config.at("vocab_size") == 12);
  check_in_python({official, hf});
}

TEST_CASE("a fine-tuned classifier becomes a file as DeiT's and MAE's scripts write", "[convert]") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run");
  const std::string to = temp.path() + "/out", bare = temp.path() + "/bare";
  REQUIRE(convert(run, to, "official") == 0);
  const LoadedModel before = load_model(run);
  check_same_tensors(dict_of(to, "model"), before.weights);
  check_same_model(to, before);
  CHECK(load_model(to).crop_pct == before.crop_pct);
  CHECK_THAT(read_whole_file(to + "/README.md"), ContainsSubstring("| top1 | "));
  REQUIRE(convert(run, bare, "official", {"--backbone"}) == 0);
  CHECK_FALSE(dict_of(bare, "model").contains("head.weight"));
  check_in_python({to, bare});
}
