#include "parity/vit.h"

#include "finetune/losses.h"
#include "models/layers/mlp.h"
#include "models/layers/patch_embed.h"
#include "models/weights/weights.h"

using namespace previt;
using namespace previt::parity;

namespace {

// timm's VisionTransformer: every stage, other sizes, gradients of CE + mean(tokens²).
void timm_case(const Fixture& fixture, VitOptions options, Check& check) {
  options.num_classes = fixture.integer("num_classes");
  options.pos_resize = ResizeConvention::timm;
  options.pool =
      fixture.config.value("global_pool", "token") == "avg" ? Pooling::avg : Pooling::cls;
  options.cls_token = fixture.has("weight.cls_token");
  options.register_tokens = fixture.config.value("reg_tokens", options.register_tokens);
  options.pos_embed_cls = options.cls_token && !fixture.config.value("no_embed_class", false);
  const auto vit = load_vit(fixture, options, check);
  const at::Tensor images = fixture.given("input.img");
  check.t1("patch_embed", vit->patch_embed->forward(images), fixture.at("output.patch_embed"));
  check.t1("embed", vit->embed(images), fixture.at("output.embed"));
  check_blocks(fixture, *vit, images, check);
  check.t1("attn_last", vit->attention(images), fixture.at("output.attn_last"));

  const at::Tensor tokens = vit->forward_features(images);
  check.t1("norm_tokens", tokens, fixture.at("output.norm_tokens"));
  check.t1("pooled", vit->pool(tokens), fixture.at("output.pooled"));
  const at::Tensor logits = vit->forward(images);
  check.t1("logits", logits, fixture.at("output.logits"));
  const at::Tensor loss =
      torch::cross_entropy_loss(logits, fixture.given("input.target")) + tokens.square().mean();
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check_gradients(fixture, *vit, check);

  const auto sizes = other_sizes(fixture);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t p = options.patch_size;
    const auto key = [&](const std::string& name) { return fmt::format("{}_other_{}", name, i); };
    check.t1(key("pos_embed"),
             vit->positions(sizes[i][0] / p, sizes[i][1] / p),
             fixture.at(key("output.pos_embed")));
    check.t1(key("logits"),
             vit->forward(fixture.given(key("input.img"))),
             fixture.at(key("output.logits")));
  }
}

// DINO's VisionTransformer.
void dino_case(const Fixture& fixture, Check& check) {
  VitOptions options = vit_options(fixture);
  options.pos_resize = ResizeConvention::dino;
  const auto vit = load_vit(fixture, options, check);
  const at::Tensor images = fixture.given("input.img");
  check_blocks(fixture, *vit, images, check);
  check.t1("tokens", vit->embed(images), fixture.at("output.tokens"));
  check.t1("attn_last", vit->attention(images), fixture.at("output.attn_last"));
  const auto last = vit->intermediate(images, fixture.integer("n_last"));
  for (size_t i = 0; i < last.size(); ++i) {
    const std::string key = fmt::format("output.intermediate.{}", i);
    check.t1(key, last[i], fixture.at(key));
  }

  const at::Tensor cls = vit->pooled(images);
  check.t1("cls", cls, fixture.at("output.cls"));
  at::Tensor loss = (cls * fixture.given("input.r_cls")).sum();
  const auto sizes = other_sizes(fixture);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto key = [&](const std::string& name) { return fmt::format("{}_other_{}", name, i); };
    const at::Tensor other = fixture.given(key("input.img"));
    const int64_t p = options.patch_size;
    check.t1(key("pos_embed"),
             vit->positions(sizes[i][0] / p, sizes[i][1] / p),
             fixture.at(key("output.pos_embed")));
    check.t1(key("attn_last"), vit->attention(other), fixture.at(key("output.attn_last")));
    const at::Tensor other_cls = vit->pooled(other);
    check.t1(key("cls"), other_cls, fixture.at(key("output.cls")));
    loss = loss + (other_cls * fixture.given("input.r_other")).sum();
  }
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check_gradients(fixture, *vit, check);
}

// DINOv2's forward_features: x_prenorm and its normed class, register and patch tokens.
void check_dinov2_features(const Fixture& fixture,
                           const std::string& prefix,
                           const Vit& vit,
                           const at::Tensor& prenorm,
                           Check& check) {
  const at::Tensor normed = vit.norm(prenorm);
  const int64_t first_patch = vit.num_prefix_tokens();
  check.t1(prefix + "x_prenorm", prenorm, fixture.at(prefix + "x_prenorm"));
  check.t1(prefix + "cls", normed.select(1, 0), fixture.at(prefix + "x_norm_clstoken"));
  check.t1(
      prefix + "patch", normed.slice(1, first_patch), fixture.at(prefix + "x_norm_patchtokens"));
  if (first_patch > 1) {
    check.t1(
        prefix + "reg", normed.slice(1, 1, first_patch), fixture.at(prefix + "x_norm_regtokens"));
  }
}

// DINOv2's DinoVisionTransformer; its mask token belongs to the objective, not to the Vit.
void dinov2_case(const Fixture& fixture, Check& check) {
  const VitOptions options = dinov2_vit_options(fixture);
  const auto vit = load_vit(fixture, options, check, kDinov2Renames, {"mask_token"});
  const at::Tensor mask_token = fixture.given("weight.mask_token").clone().requires_grad_();
  const at::Tensor images = fixture.given("input.img");
  const int64_t first_patch = vit->num_prefix_tokens();
  check.that("hidden width",
             mlp_hidden_width(options.mlp, options.embed_dim, options.mlp_ratio) ==
                 fixture.at("output.swiglu_or_mlp_hidden").item<int64_t>());

  const auto through_blocks = [&](const at::Tensor& tokens, const at::Tensor& of) {
    return vit->run_blocks(
        tokens, of.size(2) / options.patch_size, of.size(3) / options.patch_size);
  };
  check_dinov2_features(
      fixture, "output.", *vit, through_blocks(vit->embed(images), images), check);
  const auto last = vit->intermediate(images, fixture.integer("n_last"));
  for (size_t i = 0; i < last.size(); ++i) {
    const auto key = [&](const char* name) {
      return fmt::format("output.intermediate_{}.{}", name, i);
    };
    check.t1(key("cls"), last[i].select(1, 0), fixture.at(key("cls")));
    check.t1(key("patch"), last[i].slice(1, first_patch), fixture.at(key("patch")));
  }

  const at::Tensor masks = fixture.given("input.masks").to(torch::kBool);
  const at::Tensor prenorm = through_blocks(vit->embed(images, masks, mask_token), images);
  check_dinov2_features(fixture, "output.masked.", *vit, prenorm, check);
  const at::Tensor normed = vit->norm(prenorm);
  at::Tensor loss = (normed.select(1, 0) * fixture.given("input.r_cls")).sum() +
                    (normed.slice(1, first_patch) * fixture.given("input.r_patch")).sum();
  const auto sizes = other_sizes(fixture);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto key = [&](const std::string& name) { return fmt::format("{}_other_{}", name, i); };
    const int64_t p = options.patch_size;
    check.t1(key("pos_embed"),
             vit->positions(sizes[i][0] / p, sizes[i][1] / p),
             fixture.at(key("output.pos_embed")));
    const at::Tensor cls = vit->pooled(fixture.given(key("input.img")));
    check.t1(key("cls"), cls, fixture.at(key("output.cls")));
    loss = loss + (cls * fixture.given("input.r_cls")).sum();
  }
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check_gradients(fixture, *vit, check, kDinov2Renames, {"mask_token"});
  check.t2("grad.mask_token", mask_token.grad(), fixture.at("grad.mask_token"));
}

// MAE's fine-tuning model.
void mae_finetune_case(const Fixture& fixture, Check& check) {
  VitOptions options = vit_options(fixture);
  options.num_classes = fixture.integer("num_classes");
  options.pool = fixture.flag("global_pool") ? Pooling::avg : Pooling::cls;
  options.pos_resize = ResizeConvention::mae;
  const auto vit = load_vit(fixture, options, check);
  const at::Tensor images = fixture.given("input.imgs");
  check.t1("features", vit->pooled(images), fixture.at("output.features"));
  const at::Tensor logits = vit->forward(images);
  check.t1("logits", logits, fixture.at("output.logits"));
  const at::Tensor loss = torch::cross_entropy_loss(logits, fixture.given("input.target"));
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check_gradients(fixture, *vit, check);
}

}  // namespace

PARITY_CASE(timm_vit) { timm_case(fixture, vit_options(fixture), check); }
PARITY_CASE(timm_ls_avg) { timm_case(fixture, vit_options(fixture), check); }
PARITY_CASE(timm_reg) { timm_case(fixture, vit_options(fixture), check); }

PARITY_CASE(timm_deit_distilled) {
  VitOptions options = vit_options(fixture);
  options.dist_token = true;
  timm_case(fixture, options, check);

  options.num_classes = fixture.integer("num_classes");
  const auto vit = load_vit(fixture, options, check);
  const auto logits = vit->head_logits(fixture.given("input.img"));
  check.t1("logits_cls", logits[0], fixture.at("output.logits_cls"));
  check.t1("logits_dist", logits[1], fixture.at("output.logits_dist"));
  const double alpha = fixture.number("alpha");
  const at::Tensor teacher = fixture.given("input.teacher_logits"),
                   base = cross_entropy(logits[0], fixture.given("input.target"));
  const std::map<std::string, at::Tensor> kinds = {
      {"hard", hard_distillation_loss(logits[1], teacher)},
      {"soft", soft_distillation_loss(logits[1], teacher, fixture.number("tau"))}};
  for (const auto& [kind, distance] : kinds) {
    const at::Tensor loss = (1 - alpha) * base + alpha * distance;
    check.t1(kind, loss, fixture.at("output.distilled_" + kind));
    vit->zero_grad();
    loss.backward({}, /*retain_graph=*/true);
    const auto own = named_tensors(*vit);
    for (const auto& [name, want] : fixture.group("grad_distilled_" + kind + ".")) {
      check.t2(kind + " grad." + name, own.at(name).grad(), want);
    }
  }
}

PARITY_CASE(dino_vit) { dino_case(fixture, check); }
PARITY_CASE(dino_vit_lneps) { dino_case(fixture, check); }

PARITY_CASE(dinov2_vit) { dinov2_case(fixture, check); }
PARITY_CASE(dinov2_vit_reg_swiglu) { dinov2_case(fixture, check); }

PARITY_CASE(mae_ft_gap) { mae_finetune_case(fixture, check); }
PARITY_CASE(mae_ft_cls) { mae_finetune_case(fixture, check); }
