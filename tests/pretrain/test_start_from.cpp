#include "files.h"
#include "models/layers/pos_embed.h"
#include "models/weights/weights.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/start_from.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"
#include "support/torch_save.h"

using namespace previt;

namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

LoadedModel whole(const std::string& path) { return load_model(path, nullptr, {.whole = true}); }

struct Started {
  std::shared_ptr<Objective> objective;
  StartReport report;
  NamedTensors tensors;  // of the objective
  RunOptions options;
};

Started start(const std::string& recipe_text,
              const LoadedModel& source,
              const std::string& allow = "") {
  Recipe recipe = Recipe::parse(recipe_text);
  const PretrainRun run = PretrainRun::read(recipe, &source);
  torch::manual_seed(3);
  Started started{.objective = run.build(), .report = {}, .tensors = {}, .options = run.options};
  started.report = start_from(*started.objective, source, allow);
  started.tensors = named_tensors(*started.objective);
  return started;
}

// The tensors of `all` whose names begin with `prefix`, without it.
NamedTensors under(const NamedTensors& all, const std::string& prefix) {
  NamedTensors some;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) some[name.substr(prefix.size())] = tensor;
  }
  return some;
}

NamedTensors expected(const std::string& name, const std::string& prefix) {
  return under(read_safetensors(kFixtures + name + "_a.expected.safetensors").tensors, prefix);
}

// All of `want` but these two tables.
void check_same(const NamedTensors& got, const NamedTensors& want) {
  REQUIRE(!want.empty());
  for (const auto& [name, tensor] : want) {
    if (name == "pos_embed" || name == "decoder_pos_embed") continue;
    INFO(name);
    REQUIRE(got.contains(name));
    CHECK(torch::equal(got.at(name), tensor));
  }
}

bool is_decoder(const std::string& name) {
  return name.starts_with("decoder_") || name == "mask_token";
}

at::Tensor resized(const at::Tensor& table, int64_t side, ResizeConvention convention) {
  return resize_pos_embed(table, 4, 4, side, side, pos_resize(convention));
}

const std::string kMae =
    "{objective: mae, mae: {decoder: {embed_dim: 16, depth: 2, num_heads: 4}}, "
    "model: {num_heads: 3, image_size: [24]}}";
const std::string kDinoHead = "head: {out_dim: 40, hidden_dim: 32, bottleneck_dim: 16}";

std::string dino_of_32(const std::string& head) {
  return "{objective: dino, dino: {" + head +
         "}, model: {num_heads: 3, image_size: [32]}, augment: {local: {height: 16, width: 16}}}";
}

// A run's checkpoint or a file with one tensor more or less can be made of this.
LoadedModel small_source(const VitOptions& options, const TempFolder& folder) {
  return whole(test::tiny_checkpoint(folder.path(), options));
}

const std::string kSmall =
    "{objective: mae, mae: {mask_ratio: 0.5, decoder: {embed_dim: 8, depth: 1, num_heads: 2}}, "
    "model: {image_size: [16]";

}  // namespace

TEST_CASE("MAE goes on from an official checkpoint with its decoder, at another image size") {
  const Started mae = start(kMae, whole(kFixtures + "mae_checkpoint_a.pth"));
  const NamedTensors want = expected("mae_checkpoint", "weight.");
  NamedTensors encoder, decoder;
  for (const auto& [name, tensor] : want) (is_decoder(name) ? decoder : encoder)[name] = tensor;
  check_same(under(mae.tensors, "encoder."), encoder);
  check_same(mae.tensors, decoder);
  for (const std::string prefix : {"", "decoder_"}) {
    const at::Tensor& table = want.at(prefix + "pos_embed");
    const at::Tensor& got =
        mae.tensors.at(prefix.empty() ? "encoder.pos_embed" : prefix + "pos_embed");
    CHECK(torch::equal(got, resized(table, 3, ResizeConvention::mae)));
    CHECK_FALSE(torch::equal(got, resized(table, 3, ResizeConvention::timm)));
  }
  CHECK(mae.report.loaded ==
        StartReport::Groups{{"backbone", std::ssize(encoder)}, {"decoder", std::ssize(decoder)}});
  CHECK(mae.report.converted ==
        std::vector<std::string>{"positions from 4 x 4 to 3 x 3 patches (mae)"});
  CHECK(mae.report.left_out.empty());
  CHECK(mae.report.anew.empty());
}

TEST_CASE("a decoder starts anew where the file has none, or another one") {
  const LoadedModel encoder = whole(kFixtures + "mae_pretrain_encoder_a.pth");
  const Started without = start(kMae, encoder);
  check_same(under(without.tensors, "encoder."), encoder.weights);
  CHECK(without.report.loaded.size() == 1);
  REQUIRE(without.report.anew.size() == 1);
  CHECK_THAT(without.report.anew.front(), ContainsSubstring("decoder ("));

  const LoadedModel source = whole(kFixtures + "mae_checkpoint_a.pth");
  const Started deeper = start(
      "{objective: mae, mae: {decoder: {embed_dim: 16, depth: 3, num_heads: 4}}, "
      "model: {num_heads: 3, image_size: [32]}}",
      source);
  CHECK_FALSE(deeper.report.loaded.contains("decoder"));
  REQUIRE(deeper.report.anew.size() == 1);
  CHECK_THAT(deeper.report.anew.front(), ContainsSubstring("the file's lacks decoder_blocks.2."));
  // None of it is loaded, though most of it would fit.
  CHECK_FALSE(torch::equal(deeper.tensors.at("decoder_pred.weight"),
                           source.extra.at("decoder_pred.weight")));
  CHECK(deeper.report.left_out.at("decoder_blocks") == 24);

  const Started wider = start(
      "{objective: mae, mae: {decoder: {embed_dim: 24, depth: 2, num_heads: 4}}, "
      "model: {num_heads: 3, image_size: [32]}}",
      source);
  CHECK_FALSE(wider.report.loaded.contains("decoder"));
  REQUIRE(wider.report.anew.size() == 1);
  CHECK_THAT(wider.report.anew.front(), ContainsSubstring(", not ["));
}

TEST_CASE("DINO goes on from an official checkpoint: student, teacher, heads and center") {
  const Started dino = start(dino_of_32(kDinoHead), whole(kFixtures + "dino_checkpoint_a.pth"));
  for (const std::string network : {"student", "teacher"}) {
    INFO(network);
    const std::string file = network == "student" ? "student.module." : "teacher.";
    const NamedTensors want = expected("dino_checkpoint", file);
    check_same(under(dino.tensors, network + "."), want);
    CHECK(torch::equal(dino.tensors.at(network + ".backbone.pos_embed"),
                       want.at("backbone.pos_embed")));
  }
  CHECK(torch::equal(dino.tensors.at("center"), expected("dino_checkpoint", "center").at("")));
  const auto backbone = std::ssize(expected("dino_checkpoint", "teacher.backbone."));
  CHECK(dino.report.loaded == StartReport::Groups{{"student backbone", backbone},
                                                  {"teacher backbone", backbone},
                                                  {"head", 17}});
  CHECK(dino.report.left_out.empty());
  CHECK(dino.report.anew.empty());
  CHECK_THAT(dino.report.lines().front(), ContainsSubstring("is used, not student"));
}

TEST_CASE("a file's only network starts student and teacher, and a head of other sizes neither") {
  const TempFolder folder;
  const std::string path = folder.path() + "/teacher.pth";
  const NamedTensors teacher = expected("dino_checkpoint", "teacher.");
  write_whole_file(path, test::torch_save({{"teacher", teacher}}));
  const Started alone = start(dino_of_32(kDinoHead), whole(path));
  for (const std::string network : {"student.", "teacher."}) {
    INFO(network);
    check_same(under(alone.tensors, network), teacher);
  }
  CHECK(alone.report.anew == std::vector<std::string>{"center"});

  const Started other =
      start(dino_of_32("head: {out_dim: 24, hidden_dim: 32, bottleneck_dim: 16}"), whole(path));
  check_same(under(other.tensors, "student.backbone."), under(teacher, "backbone."));
  CHECK(other.report.loaded.size() == 2);
  REQUIRE(other.report.anew.size() == 1);
  CHECK_THAT(other.report.anew.front(),
             ContainsSubstring("last_layer.weight_g is [40, 1], not [24, 1]"));
  CHECK(other.report.left_out.at("head") == 8);
  CHECK(torch::equal(other.tensors.at("student.head.mlp.0.weight"),
                     other.tensors.at("teacher.head.mlp.0.weight")));
}

TEST_CASE("positions are resized as the source does, and then as the method does") {
  const LoadedModel source = whole(kFixtures + "mae_pretrain_encoder_a.pth");
  const Started dino =
      start("{objective: dino, dino: {" + kDinoHead +
                "}, model: {num_heads: 3, image_size: [24]}, augment: {global_1: {height: 24, "
                "width: 24}, "
                "global_2: {height: 24, width: 24}, local: {height: 16, width: 16}}}",
            source);
  const at::Tensor& table = source.weights.at("pos_embed");
  for (const std::string network : {"student", "teacher"}) {
    const at::Tensor& got = dino.tensors.at(network + ".backbone.pos_embed");
    CHECK(torch::equal(got, resized(table, 3, ResizeConvention::mae)));
    CHECK_FALSE(torch::equal(got, resized(table, 3, ResizeConvention::dino)));
  }
  CHECK(dino.options.model.pos_resize == ResizeConvention::dino);
}

TEST_CASE("a run's own checkpoint gives back the method's tensors, averages first") {
  const TempFolder folder;
  LoadedModel run = small_source(test::small_vit(), folder);
  const Started first = start(kSmall + "}}", run);
  for (const auto& [name, tensor] : first.tensors) {
    if (!name.starts_with("encoder.")) run.extra["objective." + name] = tensor.detach() + 1;
  }
  run.extra["average.mask_token"] = torch::full({1, 1, 8}, 5.0);
  run.extra["optimizer.step.mask_token"] = torch::zeros({});
  const Started again = start(kSmall + "}}", run);
  CHECK(torch::equal(again.tensors.at("decoder_pred.bias"),
                     first.tensors.at("decoder_pred.bias") + 1));
  CHECK(torch::equal(again.tensors.at("mask_token"), torch::full({1, 1, 8}, 5.0)));
  CHECK(again.report.left_out == StartReport::Groups{{"optimizer", 1}});
  CHECK(again.report.anew.empty());
}

TEST_CASE("official names lead to a method's own parts, and other codebooks to none") {
  const TempFolder folder;
  LoadedModel file = small_source(test::small_vit(), folder);
  file.extra = {{"mask_token", torch::full({1, 1, 24}, 2.0)},
                {"decoder.0.weight", torch::full({192, 24, 1, 1}, 3.0)},  // a 1 x 1 convolution
                {"decoder.0.bias", torch::full({192}, 4.0)},
                {"lm_head.weight", torch::full({64, 24}, 5.0)},
                {"lm_head.bias", torch::full({64}, 6.0)}};
  const Started simmim = start("{objective: simmim, simmim: {mask_unit: 8}}", file);
  CHECK(torch::equal(simmim.tensors.at("decoder.weight"), torch::full({192, 24}, 3.0)));
  CHECK(torch::equal(simmim.tensors.at("decoder.bias"), torch::full({192}, 4.0)));
  CHECK(torch::equal(simmim.tensors.at("mask_token"), torch::full({1, 1, 24}, 2.0)));
  CHECK(simmim.report.left_out == StartReport::Groups{{"lm_head", 2}});
  CHECK(simmim.report.anew.empty());

  const auto beit = [&](const std::string& colors) {
    return start(
        "{objective: beit, beit: {masked_patches: 2, block: {min_patches: 1}, tokenizer: " +
            colors + "}}",
        file);
  };
  const Started same = beit("'colors:64'");
  CHECK(torch::equal(same.tensors.at("lm_head.weight"), torch::full({64, 24}, 5.0)));
  CHECK(torch::equal(same.tensors.at("mask_token"), torch::full({1, 1, 24}, 2.0)));
  const Started other = beit("'colors:27'");
  CHECK(torch::equal(other.tensors.at("mask_token"), torch::full({1, 1, 24}, 2.0)));
  CHECK_FALSE(other.report.loaded.contains("lm_head"));
  REQUIRE(other.report.anew.size() == 1);
  CHECK_THAT(other.report.anew.front(),
             ContainsSubstring("lm_head (2; the file's lm_head.bias is"));
}

TEST_CASE("weights that the backbone lacks or has no place for are an error, unless allowed") {
  const TempFolder folder;
  VitOptions with_registers = test::small_vit();
  with_registers.register_tokens = 2;
  with_registers.layer_scale = 0.1;
  const LoadedModel more = small_source(with_registers, folder);
  const std::string without = kSmall + ", register_tokens: 0, layer_scale: 0}}";
  CHECK_THROWS_WITH(start(without, more),
                    more.source +
                        ": has blocks.*.ls1.gamma, blocks.*.ls2.gamma, reg_token, for which the "
                        "model has no place; --allow "
                        "'blocks.*.ls1.gamma,blocks.*.ls2.gamma,reg_token' goes on without");
  CHECK_THROWS_AS(start(without, more, "reg_token, blocks.0.ls?.gamma"), Error);
  const Started fewer = start(without, more, "reg_token, blocks.*.ls?.gamma");
  CHECK(fewer.report.left_out == StartReport::Groups{{"blocks", 4}, {"reg_token", 1}});

  const LoadedModel less = small_source(test::small_vit(), folder);
  const std::string with = kSmall + ", register_tokens: 2}}";
  CHECK_THROWS_WITH(
      start(with, less),
      less.source + ": lacks reg_token of the model; --allow 'reg_token' goes on without");
  const Started added = start(with, less, "reg_*");
  check_same(under(added.tensors, "encoder."), less.weights);
  CHECK(added.report.anew.front() == "reg_token");

  // A classifier belongs to no backbone.
  VitOptions classes = test::small_vit();
  classes.num_classes = 3;
  CHECK(start(kSmall + "}}", small_source(classes, folder)).report.left_out ==
        StartReport::Groups{{"head", 2}});
}
