#include "error.h"
#include "models/kernels/precision.h"
#include "models/layers/attention.h"
#include "models/layers/block.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/tiny_vit.h"

using namespace previt;

namespace {

double relative_error(const at::Tensor& got, const at::Tensor& want) {
  return ((got.to(torch::kFloat) - want).norm() / want.norm()).item<double>();
}

}  // namespace

TEST_CASE("embedding only the kept patches gives their rows of the whole") {
  VitOptions o = tiny_vit();
  o.image_size = {16, 24};
  o.in_channels = 5;
  o.register_tokens = 2;
  const bool native = GENERATE(true, false);
  const auto vit = random_vit(o);
  const at::Tensor images = native ? torch::randn({3, 5, 16, 24}) : torch::randn({3, 5, 8, 32});
  const int64_t patches = native ? 24 : 16;
  const at::Tensor kept = torch::rand({3, patches}).argsort(int64_t{1}).slice(1, 0, 7);
  const at::Tensor whole = vit->embed(images), some = vit->embed_kept(images, kept);
  REQUIRE(some.sizes() == torch::IntArrayRef({3, 3 + 7, 16}));
  const at::Tensor rows = (kept + 3).unsqueeze(-1).expand({-1, -1, 16});
  CHECK(nearly_equal(some.slice(1, 3), whole.gather(1, rows)));
  CHECK(nearly_equal(some.slice(1, 0, 3), whole.slice(1, 0, 3)));
}

TEST_CASE("masked patches become the mask token before positions are added") {
  const auto vit = random_vit(tiny_vit());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor mask = torch::rand({2, 16}) < 0.5;
  const at::Tensor token = torch::randn({1, 1, 16});
  const at::Tensor tokens = vit->embed(images, mask, token).slice(1, 1);
  const at::Tensor expected = (token + vit->pos_embed.slice(1, 1)).expand({2, -1, -1});
  CHECK(nearly_equal(tokens.index({mask}), expected.index({mask})));
  CHECK(nearly_equal(tokens.index({~mask}), vit->embed(images).slice(1, 1).index({~mask})));
}

TEST_CASE("registers stand after cls and have no position") {
  VitOptions o = tiny_vit();
  o.register_tokens = 2;
  const auto vit = random_vit(o);
  const at::Tensor tokens = vit->embed(torch::randn({1, 3, 16, 16}));
  CHECK(tokens.size(1) == 1 + 2 + 16);
  CHECK(nearly_equal(tokens.slice(1, 0, 1), vit->cls_token + vit->pos_embed.slice(1, 0, 1)));
  CHECK(nearly_equal(tokens.slice(1, 1, 3), vit->register_tokens));
}

TEST_CASE("sin-cos positions are fixed, learned ones trained") {
  VitOptions o = tiny_vit();
  CHECK(Vit(o).pos_embed.requires_grad());
  o.pos_embed = PosEmbed::sincos;
  const at::Tensor fixed = Vit(o).pos_embed;
  CHECK_FALSE(fixed.requires_grad());
  CHECK(fixed[0][0].abs().max().item<double>() == 0);
  o.pos_embed = PosEmbed::none;
  CHECK_FALSE(Vit(o).positions(4, 4).defined());
}

TEST_CASE("images of other sizes and shapes pass through, with gradients") {
  VitOptions o = tiny_vit();
  o.pos_resize = GENERATE(ResizeConvention::timm,
                          ResizeConvention::mae,
                          ResizeConvention::dino,
                          ResizeConvention::dinov2_reg);
  const auto vit = random_vit(o);
  const at::Tensor features = vit->forward_features(torch::randn({2, 3, 24, 8}));
  CHECK(features.sizes() == torch::IntArrayRef({2, 1 + 12, 16}));
  features.square().sum().backward();
  CHECK(vit->pos_embed.grad().abs().min().item<double>() > 0);
}

TEST_CASE("a relative position bias works on other grids and trains its tables") {
  VitOptions o = tiny_vit();
  o.pos_embed = PosEmbed::none;
  o.rel_pos_bias = RelPosBias::both;
  const auto vit = random_vit(o);
  vit->forward_features(torch::randn({2, 3, 24, 8})).square().sum().backward();
  for (const auto& item : vit->named_parameters()) {
    INFO(item.key());
    REQUIRE(item.value().grad().defined());
    CHECK(item.value().grad().abs().sum().item<double>() > 0);
  }
}

TEST_CASE("shared, per-block and both kinds of relative bias agree when their sums do") {
  VitOptions o = tiny_vit();
  o.rel_pos_bias = RelPosBias::shared;
  const auto shared = random_vit(o);
  o.rel_pos_bias = RelPosBias::both;
  const auto both = random_vit(o);
  NamedTensors weights = named_tensors(*shared);
  const std::string name = "rel_pos_bias.relative_position_bias_table";
  const at::Tensor table = weights[name].detach().clone();
  weights[name] = 0.25 * table;
  for (const auto& block : {"0", "1"}) {
    weights[fmt::format("blocks.{}.attn.relative_position_bias_table", block)] = 0.75 * table;
  }
  load_into(*both, weights);
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor with_bias = shared->forward_features(images);
  CHECK(nearly_equal(both->forward_features(images), with_bias));
  o.rel_pos_bias = RelPosBias::none;
  const auto none = random_vit(o);
  load_into(*none, weights);
  CHECK_FALSE(nearly_equal(none->forward_features(images), with_bias, 1e-3));
}

TEST_CASE("attention of any block, whichever way it is counted") {
  const auto vit = random_vit(tiny_vit());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor last = vit->attention(images);
  CHECK(last.sizes() == torch::IntArrayRef({2, 2, 17, 17}));
  CHECK(nearly_equal(last.sum(-1), torch::ones({2, 2, 17})));
  CHECK(torch::equal(last, vit->attention(images, 1)));
  CHECK(torch::equal(vit->attention(images, -2), vit->attention(images, 0)));
  CHECK_FALSE(nearly_equal(last, vit->attention(images, 0), 1e-3));
  CHECK_THROWS_WITH(vit->attention(images, 2), ContainsSubstring("block 2 of 2"));
}

TEST_CASE("heads may be wider or narrower together than the model") {
  VitOptions o = tiny_vit();
  o.attention_dim = 2 * 10;
  const auto vit = random_vit(o);
  const auto shape = [&](const char* name) {
    return vit->named_parameters()[std::string("blocks.1.attn.") + name].sizes().vec();
  };
  CHECK(shape("qkv.weight") == std::vector<int64_t>{60, 16});
  CHECK(shape("qkv.bias") == std::vector<int64_t>{60});
  CHECK(shape("proj.weight") == std::vector<int64_t>{16, 20});
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  CHECK(nearly_equal(vit->pooled(images), vit->forward_features(images).select(1, 0), 1e-4));
  CHECK(vit->attention(images).sizes() == torch::IntArrayRef({2, 2, 17, 17}));

  o.attention_dim = 16;  // what it is anyway
  CHECK(resolve(o).attention_dim == 0);
}

TEST_CASE("pooling reads what the options say") {
  VitOptions o = tiny_vit();
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const auto cls = random_vit(o);
  CHECK(nearly_equal(cls->pooled(images), cls->forward_features(images).select(1, 0)));
  o.pool = Pooling::avg;
  const auto avg = random_vit(o);
  CHECK(nearly_equal(avg->pooled(images), avg->pool(avg->forward_features(images))));
  // The norm that follows the mean is the only one there is.
  const at::Tensor last = avg->forward_features(images);
  CHECK(torch::equal(avg->intermediate(images, 1, /*normed=*/false)[0], last));
  const auto parameters = avg->named_parameters();
  CHECK(nearly_equal(avg->intermediate(images, 1)[0],
                     torch::layer_norm(last,
                                       {last.size(2)},
                                       parameters["fc_norm.weight"],
                                       parameters["fc_norm.bias"],
                                       o.norm_eps),
                     1e-4));
  const at::Tensor before = avg->pooled(images);
  {
    torch::NoGradGuard no_grad;
    images.copy_(images.roll({4}, {3}));  // other patches at other places: another mean
  }
  CHECK_FALSE(nearly_equal(avg->pooled(images), before, 1e-4));

  o.pool = Pooling::norm_avg;
  o.register_tokens = 2;
  const auto normed = random_vit(o);
  CHECK_FALSE(normed->named_parameters().contains("fc_norm.weight"));
  const at::Tensor all = normed->forward_features(images);
  CHECK(torch::equal(normed->intermediate(images, 1)[0], all));
  CHECK(nearly_equal(normed->pooled(images), all.slice(1, 3).mean(1)));
}

TEST_CASE("a head can be put on and taken off") {
  const auto vit = random_vit(tiny_vit());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  CHECK(torch::equal(vit->forward(images), vit->pooled(images)));
  vit->set_num_classes(5, 2e-5);
  CHECK(vit->forward(images).sizes() == torch::IntArrayRef({2, 5}));
  const at::Tensor weight = vit->named_parameters()["head.weight"];
  CHECK(weight.std().item<double>() == Approx(2e-5).epsilon(0.3));
  CHECK(weight.requires_grad());
  vit->set_num_classes(7, 0.02);
  CHECK(vit->forward(images).size(1) == 7);
  vit->set_num_classes(0);
  CHECK_FALSE(vit->named_parameters().contains("head.weight"));
}

TEST_CASE("bf16 stays close to float32, forward and backward") {
  VitOptions o = tiny_vit();
  o.embed_dim = 64;
  o.attention_dim = GENERATE(0, 24, 96);
  o.layer_scale = 0.5;
  o.mlp = GENERATE(MlpKind::gelu, MlpKind::swiglu);
  const auto vit = std::make_shared<Vit>(o);
  const at::Tensor images = torch::randn({4, 3, 16, 16});
  const at::Tensor gain = torch::randn({4, 17, 64});
  const auto run = [&](at::ScalarType type) {
    const ComputeTypeGuard guard(type);
    vit->zero_grad();
    const at::Tensor features = vit->forward_features(images);
    CHECK(features.scalar_type() == type);
    (features.to(torch::kFloat) * gain).sum().backward();
    return std::pair(features, vit->named_parameters()["blocks.0.attn.proj.weight"].grad().clone());
  };
  const auto [plain, plain_grad] = run(torch::kFloat);
  const auto [half, half_grad] = run(torch::kBFloat16);
  CHECK(relative_error(half, plain) < 0.02);
  CHECK(relative_error(half, plain) > 1e-6);
  CHECK(half_grad.scalar_type() == torch::kFloat);
  CHECK(relative_error(half_grad, plain_grad) < 0.05);
}

TEST_CASE("wrong shapes are errors that say what was wanted") {
  const auto vit = random_vit(tiny_vit());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  CHECK_THROWS_WITH(vit->forward(torch::randn({2, 3, 16, 18})),
                    ContainsSubstring("multiples of 4"));
  CHECK_THROWS_WITH(vit->forward(torch::randn({2, 1, 16, 16})), ContainsSubstring("[B, 3, H, W]"));
  CHECK_THROWS_AS(vit->forward(torch::randn({3, 16, 16})), Error);
  CHECK_THROWS_AS(vit->embed(images, torch::zeros({2, 9}, torch::kBool), torch::zeros({1, 1, 16})),
                  Error);
  CHECK_THROWS_AS(vit->embed_kept(images, torch::zeros({3, 4}, torch::kLong)), Error);
  CHECK_THROWS_AS(vit->intermediate(images, 3), Error);
}
