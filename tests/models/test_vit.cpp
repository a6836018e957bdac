#include "error.h"
#include "models/kernels/precision.h"
#include "models/layers/attention.h"
#include "models/layers/block.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "support/catch.h"

using namespace previt;

namespace {

VitOptions tiny() {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 16;
  o.depth = 2;
  o.num_heads = 2;
  o.mlp_ratio = 2;
  o.image_size = {16};
  o.patch_size = 4;
  return o;
}

// A Vit whose every parameter is random, so that a part left out shows.
std::shared_ptr<Vit> random_vit(const VitOptions& options) {
  torch::manual_seed(1);
  auto vit = std::make_shared<Vit>(options);
  torch::NoGradGuard no_grad;
  for (auto& parameter : vit->parameters()) {
    if (parameter.requires_grad()) parameter.normal_(0, 0.3);
  }
  return vit;
}

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

// Blocks are alike, so that two shallow models give the count of the deep one.
int64_t count_at_depth(const std::string& arch, int64_t patch_size, int64_t depth) {
  VitOptions o;
  o.arch = arch;
  o.patch_size = patch_size;
  o.depth = 1;
  const int64_t one = count_parameters(Vit(o));
  o.depth = 2;
  return one + (depth - 1) * (count_parameters(Vit(o)) - one);
}

double relative_error(const at::Tensor& got, const at::Tensor& want) {
  return ((got.to(torch::kFloat) - want).norm() / want.norm()).item<double>();
}

bool close(const at::Tensor& a, const at::Tensor& b, double tolerance = 1e-5) {
  return a.sizes() == b.sizes() && (a - b).abs().max().item<double>() <= tolerance;
}

std::vector<std::string> names_of(const VitOptions& options) {
  std::vector<std::string> names;
  const Vit vit(options);
  for (const auto& item : vit.named_parameters()) names.push_back(item.key());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("named sizes have the published numbers of parameters") {
  struct Published {
    const char* arch;
    int64_t patch, depth, count;
  };
  const auto sizes = {Published{"vit_tiny", 16, 12, 5'524'416},
                      Published{"vit_small", 16, 12, 21'665'664},
                      Published{"vit_small", 8, 12, 21'670'272},
                      Published{"vit_base", 16, 12, 85'798'656},
                      Published{"vit_base", 8, 12, 85'807'872},
                      Published{"vit_large", 16, 24, 303'301'632},
                      Published{"vit_huge", 14, 32, 630'764'800}};
  for (const auto& size : sizes) {
    INFO(size.arch << "/" << size.patch);
    VitOptions options;
    options.arch = size.arch;
    CHECK(resolve(options).depth == size.depth);
    CHECK(count_at_depth(size.arch, size.patch, size.depth) == size.count);
  }
}

TEST_CASE("parameter names are timm's and stay so") {
  VitOptions o = tiny();
  o.depth = 1;
  o.register_tokens = 1;
  o.layer_scale = 0.1;
  o.num_classes = 3;
  CHECK(names_of(o) == std::vector<std::string>{"blocks.0.attn.proj.bias",
                                                "blocks.0.attn.proj.weight",
                                                "blocks.0.attn.qkv.bias",
                                                "blocks.0.attn.qkv.weight",
                                                "blocks.0.ls1.gamma",
                                                "blocks.0.ls2.gamma",
                                                "blocks.0.mlp.fc1.bias",
                                                "blocks.0.mlp.fc1.weight",
                                                "blocks.0.mlp.fc2.bias",
                                                "blocks.0.mlp.fc2.weight",
                                                "blocks.0.norm1.bias",
                                                "blocks.0.norm1.weight",
                                                "blocks.0.norm2.bias",
                                                "blocks.0.norm2.weight",
                                                "cls_token",
                                                "head.bias",
                                                "head.weight",
                                                "norm.bias",
                                                "norm.weight",
                                                "patch_embed.proj.bias",
                                                "patch_embed.proj.weight",
                                                "pos_embed",
                                                "reg_token"});

  VitOptions beit = tiny();
  beit.depth = 1;
  beit.pos_embed = PosEmbed::none;
  beit.qkv_bias = QkvBias::qv;
  beit.rel_pos_bias = RelPosBias::both;
  beit.mlp = MlpKind::swiglu;
  beit.pool = Pooling::avg;
  CHECK(names_of(beit) == std::vector<std::string>{"blocks.0.attn.proj.bias",
                                                   "blocks.0.attn.proj.weight",
                                                   "blocks.0.attn.q_bias",
                                                   "blocks.0.attn.qkv.weight",
                                                   "blocks.0.attn.relative_position_bias_table",
                                                   "blocks.0.attn.v_bias",
                                                   "blocks.0.mlp.w12.bias",
                                                   "blocks.0.mlp.w12.weight",
                                                   "blocks.0.mlp.w3.bias",
                                                   "blocks.0.mlp.w3.weight",
                                                   "blocks.0.norm1.bias",
                                                   "blocks.0.norm1.weight",
                                                   "blocks.0.norm2.bias",
                                                   "blocks.0.norm2.weight",
                                                   "cls_token",
                                                   "fc_norm.bias",
                                                   "fc_norm.weight",
                                                   "patch_embed.proj.bias",
                                                   "patch_embed.proj.weight",
                                                   "rel_pos_bias.relative_position_bias_table"});
}

TEST_CASE("embedding only the kept patches gives their rows of the whole") {
  VitOptions o = tiny();
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
  CHECK(close(some.slice(1, 3), whole.gather(1, rows)));
  CHECK(close(some.slice(1, 0, 3), whole.slice(1, 0, 3)));
}

TEST_CASE("masked patches become the mask token before positions are added") {
  const auto vit = random_vit(tiny());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor mask = torch::rand({2, 16}) < 0.5;
  const at::Tensor token = torch::randn({1, 1, 16});
  const at::Tensor tokens = vit->embed(images, mask, token).slice(1, 1);
  const at::Tensor expected = (token + vit->pos_embed.slice(1, 1)).expand({2, -1, -1});
  CHECK(close(tokens.index({mask}), expected.index({mask})));
  CHECK(close(tokens.index({~mask}), vit->embed(images).slice(1, 1).index({~mask})));
}

TEST_CASE("registers stand after cls and have no position") {
  VitOptions o = tiny();
  o.register_tokens = 2;
  const auto vit = random_vit(o);
  const at::Tensor tokens = vit->embed(torch::randn({1, 3, 16, 16}));
  CHECK(tokens.size(1) == 1 + 2 + 16);
  CHECK(close(tokens.slice(1, 0, 1), vit->cls_token + vit->pos_embed.slice(1, 0, 1)));
  CHECK(close(tokens.slice(1, 1, 3), vit->register_tokens));
}

TEST_CASE("sin-cos positions are fixed, learned ones trained") {
  VitOptions o = tiny();
  CHECK(Vit(o).pos_embed.requires_grad());
  o.pos_embed = PosEmbed::sincos;
  const at::Tensor fixed = Vit(o).pos_embed;
  CHECK_FALSE(fixed.requires_grad());
  CHECK(fixed[0][0].abs().max().item<double>() == 0);
  o.pos_embed = PosEmbed::none;
  CHECK_FALSE(Vit(o).positions(4, 4).defined());
}

TEST_CASE("images of other sizes and shapes pass through, with gradients") {
  VitOptions o = tiny();
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
  VitOptions o = tiny();
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
  VitOptions o = tiny();
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
  CHECK(close(both->forward_features(images), with_bias));
  o.rel_pos_bias = RelPosBias::none;
  const auto none = random_vit(o);
  load_into(*none, weights);
  CHECK_FALSE(close(none->forward_features(images), with_bias, 1e-3));
}

TEST_CASE("attention of any block, whichever way it is counted") {
  const auto vit = random_vit(tiny());
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor last = vit->attention(images);
  CHECK(last.sizes() == torch::IntArrayRef({2, 2, 17, 17}));
  CHECK(close(last.sum(-1), torch::ones({2, 2, 17})));
  CHECK(torch::equal(last, vit->attention(images, 1)));
  CHECK(torch::equal(vit->attention(images, -2), vit->attention(images, 0)));
  CHECK_FALSE(close(last, vit->attention(images, 0), 1e-3));
  CHECK_THROWS_WITH(vit->attention(images, 2), ContainsSubstring("block 2 of 2"));
}

TEST_CASE("heads may be wider or narrower together than the model") {
  VitOptions o = tiny();
  o.attention_dim = 2 * 10;
  const auto vit = random_vit(o);
  const auto shape = [&](const char* name) {
    return vit->named_parameters()[std::string("blocks.1.attn.") + name].sizes().vec();
  };
  CHECK(shape("qkv.weight") == std::vector<int64_t>{60, 16});
  CHECK(shape("qkv.bias") == std::vector<int64_t>{60});
  CHECK(shape("proj.weight") == std::vector<int64_t>{16, 20});
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  CHECK(close(vit->pooled(images), vit->forward_features(images).select(1, 0), 1e-4));
  CHECK(vit->attention(images).sizes() == torch::IntArrayRef({2, 2, 17, 17}));

  o.attention_dim = 16;  // what it is anyway
  CHECK(resolve(o).attention_dim == 0);
}

TEST_CASE("pooling reads what the options say") {
  VitOptions o = tiny();
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const auto cls = random_vit(o);
  CHECK(close(cls->pooled(images), cls->forward_features(images).select(1, 0)));
  o.pool = Pooling::avg;
  const auto avg = random_vit(o);
  CHECK(close(avg->pooled(images), avg->pool(avg->forward_features(images))));
  // The norm that follows the mean is the only one there is.
  const at::Tensor last = avg->forward_features(images);
  CHECK(torch::equal(avg->intermediate(images, 1, /*normed=*/false)[0], last));
  const auto parameters = avg->named_parameters();
  CHECK(close(avg->intermediate(images, 1)[0],
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
  CHECK_FALSE(close(avg->pooled(images), before, 1e-4));
}

TEST_CASE("a head can be put on and taken off") {
  const auto vit = random_vit(tiny());
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
  VitOptions o = tiny();
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
  const auto vit = random_vit(tiny());
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

TEST_CASE("options that do not fit together name the option to change") {
  const auto error = [](auto change) {
    VitOptions o = tiny();
    change(o);
    try {
      Vit{o};
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  CHECK(error([](VitOptions& o) { o.num_heads = 3; }).starts_with("model.embed_dim: 16"));
  CHECK(error([](VitOptions& o) { o.attention_dim = 5; }).starts_with("model.attention_dim: 5"));
  CHECK(error([](VitOptions& o) { o.image_size = {18}; }).starts_with("model.image_size: 18"));
  CHECK(error([](VitOptions& o) { o.depth = 0; }).starts_with("model.arch: custom"));
  CHECK(error([](VitOptions& o) { o.cls_token = false; }).starts_with("model.pool"));
  CHECK(error([](VitOptions& o) {
          o.rel_pos_bias = RelPosBias::shared;
          o.register_tokens = 1;
        }).starts_with("model.rel_pos_bias"));
}
