#include "models/layers/init.h"
#include "models/layers/patch_embed.h"
#include "models/vit.h"
#include "support/catch.h"

using namespace previt;

namespace {

VitOptions wide() {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 64;
  o.depth = 1;
  o.num_heads = 2;
  o.image_size = {32};
  o.patch_size = 8;
  o.register_tokens = 4;
  return o;
}

double deviation(const at::Tensor& t) { return t.std().item<double>(); }
double largest(const at::Tensor& t) { return t.abs().max().item<double>(); }

}  // namespace

TEST_CASE("a normal cut at an absolute value") {
  torch::manual_seed(4);
  const at::Tensor t = torch::empty({200000});
  trunc_normal_(t, 0.02);
  CHECK(deviation(t) == Approx(0.02).epsilon(0.02));
  CHECK(largest(t) < 0.12);  // never the value that the inverse of 1 would give
  trunc_normal_(t, 0.02, 0.02);
  CHECK(largest(t) <= 0.02);
  CHECK(deviation(t) == Approx(0.54 * 0.02).epsilon(0.02));
}

TEST_CASE("timm's initialisation") {
  torch::manual_seed(5);
  Vit vit(wide());
  auto p = vit.named_parameters();
  CHECK(deviation(p["blocks.0.mlp.fc1.weight"]) == Approx(0.02).epsilon(0.05));
  CHECK(largest(p["blocks.0.mlp.fc1.bias"]) == 0);
  CHECK(torch::equal(p["norm.weight"], torch::ones({64})));
  CHECK(deviation(p["pos_embed"]) == Approx(0.02).epsilon(0.1));
  CHECK(largest(p["reg_token"]) < 1e-5);
  const double bound = 1 / std::sqrt(3 * 8 * 8.0);
  CHECK(largest(p["patch_embed.proj.weight"]) == Approx(bound).epsilon(0.01));
  CHECK(largest(p["patch_embed.proj.bias"]) <= bound);
}

TEST_CASE("MAE's initialisation") {
  torch::manual_seed(6);
  VitOptions options = wide();
  options.pos_embed = PosEmbed::sincos;
  Vit vit(options);
  const at::Tensor positions = vit.pos_embed.clone();
  vit.init_weights_mae();
  auto p = vit.named_parameters();
  const auto xavier = [](double in, double out) { return std::sqrt(6 / (in + out)); };
  CHECK(largest(p["blocks.0.attn.qkv.weight"]) == Approx(xavier(64, 192)).epsilon(0.01));
  CHECK(deviation(p["blocks.0.attn.qkv.weight"]) ==
        Approx(xavier(64, 192) / std::sqrt(3)).epsilon(0.05));
  CHECK(largest(p["patch_embed.proj.weight"]) == Approx(xavier(192, 64)).epsilon(0.01));
  CHECK(largest(p["patch_embed.proj.bias"]) > 0);
  CHECK(deviation(p["cls_token"]) == Approx(0.02).epsilon(0.4));
  CHECK(torch::equal(vit.pos_embed, positions));
}

TEST_CASE("the same seed gives the same weights") {
  const auto weights = [] {
    torch::manual_seed(7);
    return Vit(wide()).named_parameters()["blocks.0.mlp.fc2.weight"].clone();
  };
  CHECK(torch::equal(weights(), weights()));
}
