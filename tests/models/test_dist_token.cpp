#include "error.h"
#include "finetune/model.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weight_format.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

VitOptions distilled() {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 16;
  o.depth = 2;
  o.num_heads = 2;
  o.image_size = {16};
  o.patch_size = 4;
  o.dist_token = true;
  o.num_classes = 5;
  return o;
}

// Every parameter random, so that a part left out or taken for another shows.
std::shared_ptr<Vit> random_vit(const VitOptions& options) {
  torch::manual_seed(2);
  auto vit = std::make_shared<Vit>(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : vit->parameters()) parameter.normal_(0, 0.3);
  vit->eval();
  return vit;
}

NamedTensors copy_of(const Vit& vit, const std::string& prefix = "") {
  NamedTensors copy;
  for (const auto& [name, tensor] : named_tensors(vit)) {
    copy[prefix + name] = tensor.detach().clone();
  }
  return copy;
}

LoadedModel loaded(const Vit& vit) {
  LoadedModel model;
  model.options = vit.options();
  model.weights = copy_of(vit);
  model.source = "memory";
  return model;
}

}  // namespace

TEST_CASE("a distilled Vit has the official names, and one more row of positions") {
  const Vit vit(distilled());
  const NamedTensors own = named_tensors(vit);
  CHECK(own.at("dist_token").sizes() == at::IntArrayRef({1, 1, 16}));
  CHECK(own.at("pos_embed").sizes() == at::IntArrayRef({1, 2 + 16, 16}));
  CHECK(own.at("head_dist.weight").sizes() == at::IntArrayRef({5, 16}));
  CHECK(own.contains("head_dist.bias"));
  CHECK(vit.num_prefix_tokens() == 2);
  CHECK(own.at("dist_token").std().item<double>() == Approx(0.02).margin(0.012));
}

TEST_CASE("class token, distillation token and patches stand on their own positions") {
  const torch::NoGradGuard no_grad;
  const auto vit = random_vit(distilled());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor tokens = vit->embed(images);
  REQUIRE(tokens.size(1) == 18);
  CHECK(torch::equal(tokens[1][0], vit->cls_token[0][0] + vit->pos_embed[0][0]));
  CHECK(torch::equal(tokens[1][1], vit->dist_token[0][0] + vit->pos_embed[0][1]));
  const at::Tensor larger = vit->positions(6, 6);
  CHECK(larger.size(1) == 2 + 36);
  CHECK(torch::equal(larger.slice(1, 0, 2), vit->pos_embed.slice(1, 0, 2)));
}

TEST_CASE("what is answered is the mean of both heads, each on its own token") {
  const torch::NoGradGuard no_grad;
  const auto vit = random_vit(distilled());
  const at::Tensor images = torch::randn({3, 3, 16, 16});
  const NamedTensors own = named_tensors(*vit);
  const at::Tensor tokens = vit->forward_features(images).to(torch::kFloat);
  const at::Tensor cls =
      torch::linear(tokens.select(1, 0), own.at("head.weight"), own.at("head.bias"));
  const at::Tensor dist =
      torch::linear(tokens.select(1, 1), own.at("head_dist.weight"), own.at("head_dist.bias"));
  const auto logits = vit->head_logits(images);
  REQUIRE(logits.size() == 2);
  CHECK(torch::allclose(logits[0], cls, 1e-5, 1e-5));
  CHECK(torch::allclose(logits[1], dist, 1e-5, 1e-5));
  CHECK((cls - dist).abs().max().item<double>() > 0.1);
  CHECK(torch::allclose(vit->forward(images), (cls + dist) / 2, 1e-5, 1e-5));
  vit->train();  // no drop path: the same in either mode
  CHECK(torch::allclose(vit->forward(images), (cls + dist) / 2, 1e-5, 1e-5));
  CHECK(torch::allclose(vit->pooled(images), tokens.select(1, 0), 1e-5, 1e-5));
}

TEST_CASE("weights with the official names of DeiT distilled are understood") {
  const torch::NoGradGuard no_grad;
  const std::string prefix = GENERATE(as<std::string>(), "", "module.");
  VitOptions o = distilled();
  o.embed_dim = 192;  // a width that tells its heads
  o.num_heads = 3;
  const auto vit = random_vit(o);
  const TempFolder folder;
  const std::string path = folder.path() + "/deit.safetensors";
  write_safetensors(path, copy_of(*vit, prefix));
  const LoadedModel model = load_model(path);
  CHECK(model.options.dist_token);
  CHECK(model.options.image_size == std::vector<int64_t>{16});
  CHECK(model.options.num_classes == 5);
  CHECK(model.options.pool == Pooling::cls);
  CHECK(model.extra.empty());
  const auto again = vit_from_checkpoint(model, model.options, {.keep = true});
  again->eval();
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  CHECK(torch::equal(again->forward(images), vit->forward(images)));
}

TEST_CASE("Hugging Face's names of DeiT with a teacher are understood") {
  const auto scalar = [] { return torch::zeros({}); };
  const NamedTensors weights = {{"deit.embeddings.patch_embeddings.projection.weight", scalar()},
                                {"deit.embeddings.distillation_token", scalar()},
                                {"cls_classifier.weight", scalar()},
                                {"distillation_classifier.bias", scalar()}};
  const ForeignModel model = take_network(weights, networks_in({{"", weights}}, "file").front());
  const NamedWeights split = format_of(model).named(model);
  CHECK(split.extra.empty());
  for (const char* name : {"dist_token", "head.weight", "head_dist.bias"}) {
    INFO(name);
    CHECK(split.backbone.contains(name));
  }
}

TEST_CASE("a checkpoint gives its distillation token up, or gets one, with its position") {
  const torch::NoGradGuard no_grad;
  const auto vit = random_vit(distilled());
  VitOptions plain = distilled();
  plain.dist_token = false;

  const auto without = vit_from_checkpoint(loaded(*vit), plain, {});
  CHECK(without->pos_embed.size(1) == 17);
  CHECK(torch::equal(without->pos_embed[0][0], vit->pos_embed[0][0]));
  CHECK(torch::equal(without->pos_embed[0][1], vit->pos_embed[0][2]));

  VitOptions larger = distilled();
  larger.image_size = {24};
  const auto with = vit_from_checkpoint(loaded(*without), larger, {});
  CHECK(with->pos_embed.size(1) == 2 + 36);
  CHECK(torch::equal(with->pos_embed[0][0], vit->pos_embed[0][0]));
  CHECK(with->pos_embed[0][1].abs().max().item<double>() < 0.2);  // new, and small
  CHECK(torch::equal(with->pos_embed.slice(1, 2), without->positions(6, 6).slice(1, 1)));
  CHECK_THROWS_WITH(vit_from_checkpoint(loaded(*without), distilled(), {.keep = true}),
                    "memory: lacks head_dist.bias, head_dist.weight of the model");
}

TEST_CASE("a classifier with one head for two tokens answers with that head") {
  const torch::NoGradGuard no_grad;
  const auto vit = random_vit(distilled());
  LoadedModel one = loaded(*vit);
  one.weights.erase("head_dist.weight");
  one.weights.erase("head_dist.bias");
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor cls = vit->head_logits(images).front();
  const auto frozen = frozen_vit(one, one.options);
  CHECK(frozen->head_logits(images).size() == 1);
  CHECK(torch::allclose(frozen->forward(images), cls, 1e-5, 1e-5));
  const auto evaluated = vit_from_checkpoint(one, one.options, {.keep = true});
  CHECK(torch::allclose(evaluated->forward(images), cls, 1e-5, 1e-5));
  // What is trained has both, and the second is not there to be kept.
  const std::string nothing;
  CHECK_THROWS_WITH(vit_from_checkpoint(one, one.options, {.keep = true}, &nothing),
                    ContainsSubstring("memory: lacks head_dist.bias, head_dist.weight"));
  CHECK(vit_from_checkpoint(one, one.options, {})->head_logits(images).size() == 2);
  for (const char* format : {"timm", "deit", "hugging_face"}) {
    CHECK_THROWS_WITH(format_named(format).write(one),
                      std::string(format) +
                          ": its networks with a distillation token have a second head "
                          "(head_dist), which memory lacks; --backbone leaves the classes out");
  }
}

TEST_CASE("a distillation token goes with a class token and learned positions") {
  const auto refuse = [](const std::function<void(VitOptions&)>& change) {
    VitOptions o = distilled();
    change(o);
    CHECK_THROWS_AS(resolve(o), UsageError);
  };
  refuse([](VitOptions& o) { o.pool = Pooling::avg; });
  refuse([](VitOptions& o) { o.cls_token = false; });
  refuse([](VitOptions& o) { o.pos_embed = PosEmbed::sincos; });
  refuse([](VitOptions& o) { o.rel_pos_bias = RelPosBias::shared; });
}
