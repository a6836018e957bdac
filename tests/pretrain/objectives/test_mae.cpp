#include "error.h"
#include "models/kernels/precision.h"
#include "models/vit.h"
#include "pretrain/objectives/mae.h"
#include "support/catch.h"

using namespace previt;

namespace {

RunOptions small_run() {
  RunOptions run;
  MaeOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 2;
  run.model.num_heads = 2;
  run.model.image_size = {16, 24};
  run.model.patch_size = 4;
  return run;
}

MaeOptions small_options() {
  MaeOptions options;
  options.mae.decoder = {.embed_dim = 16, .depth = 2, .num_heads = 2};
  return options;
}

std::shared_ptr<Mae> build(const MaeOptions& options = small_options(),
                           const RunOptions& run = small_run()) {
  torch::manual_seed(3);
  return std::make_shared<Mae>(options, run);
}

at::Tensor some_images(int64_t batch = 3) {
  torch::manual_seed(5);
  return torch::randn({batch, 3, 16, 24});
}

RandomMask some_mask(const Mae& mae, int64_t batch = 3) {
  torch::manual_seed(6);
  return mae.mask_of(torch::rand({batch, 24}));
}

// The method as the paper writes it: predict every patch, weigh by the mask.
at::Tensor plain_loss(Mae& mae, const at::Tensor& images, const RandomMask& mask) {
  const at::Tensor latent_of_all = mae.backbone()->embed(images);
  const at::Tensor kept = mask.kept_ids() + 1;
  const at::Tensor with_cls =
      torch::cat({torch::zeros({kept.size(0), 1}, kept.options()), kept}, 1);
  auto& vit = *mae.backbone();
  const at::Tensor latent = vit.norm(vit.run_blocks(gather_tokens(latent_of_all, with_cls), 4, 6));
  const at::Tensor error = (mae.predict_all(latent, mask) - mae.target(images)).square().mean(-1);
  return (error * mask.binary()).sum() / mask.binary().sum();
}

std::map<std::string, at::Tensor> gradients_of(Mae& mae, const at::Tensor& loss) {
  mae.zero_grad();
  loss.backward();
  std::map<std::string, at::Tensor> all;
  for (const auto& p : mae.named_parameters()) {
    if (p.value().requires_grad()) all[p.key()] = p.value().grad().clone();
  }
  return all;
}

std::string error_of(const MaeOptions& options, const RunOptions& run = small_run()) {
  try {
    build(options, run);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("computing only what the loss uses gives the plain loss and its gradients") {
  for (const bool norm_pix : {false, true}) {
    auto options = small_options();
    options.mae.norm_pix_loss = norm_pix;
    options.mae.decoder.pos_embed = norm_pix ? DecoderPositions::sincos : DecoderPositions::learned;
    auto run = small_run();
    run.model.pos_embed = norm_pix ? PosEmbed::sincos : PosEmbed::learned;
    const auto mae = build(options, run);
    const at::Tensor images = some_images();
    const RandomMask mask = some_mask(*mae);

    const at::Tensor fast = mae->loss(images, mask), plain = plain_loss(*mae, images, mask);
    CHECK(fast.item<double>() == Approx(plain.item<double>()).epsilon(1e-6));
    const auto want = gradients_of(*mae, plain), got = gradients_of(*mae, fast);
    REQUIRE(got.size() == want.size());
    for (const auto& [name, gradient] : want) {
      INFO(name);
      const double allowed = 2e-5 * gradient.abs().max().item<double>() + 1e-6;
      CHECK((got.at(name) - gradient).abs().max().item<double>() <= allowed);
      CHECK(got.at(name).abs().max().item<double>() > 0);
    }
  }
}

TEST_CASE("predicting the masked patches gives the same rows as predicting all") {
  const auto mae = build();
  const RandomMask mask = some_mask(*mae);
  const at::Tensor latent = mae->encode(some_images(), mask);
  CHECK(latent.sizes() == torch::IntArrayRef({3, 1 + 6, 24}));
  const at::Tensor all = gather_tokens(mae->predict_all(latent, mask), mask.masked_ids());
  CHECK(mae->predict_masked(latent, mask).allclose(all, 1e-5, 1e-6));
}

TEST_CASE("the gradient is that of the whole batch however it is cut") {
  const auto mae = build();
  const at::Tensor images = some_images(4);
  const auto loss_of = [&](int64_t begin, int64_t end) {
    return mae
        ->step({.views = {images.slice(0, begin, end)},
                .labels = {},
                .indices = torch::arange(begin, end),
                .epoch = 2},
               {})
        .loss;
  };
  const auto want = gradients_of(*mae, loss_of(0, 4));
  const auto got = gradients_of(*mae, loss_of(0, 1) * 0.25 + loss_of(1, 4) * 0.75);
  for (const auto& [name, gradient] : want) {
    INFO(name);
    CHECK((got.at(name) - gradient).abs().max().item<double>() <=
          2e-5 * gradient.abs().max().item<double>() + 1e-6);
  }
}

TEST_CASE("an image's mask is drawn from its seed, epoch and index") {
  Batch batch{
      .views = {torch::zeros({2, 3, 4, 4})}, .labels = {}, .indices = torch::tensor({7, 9})};
  const at::Tensor noise = mask_noise(batch, 50, 1);
  CHECK(noise.ge(0).logical_and(noise.lt(1)).all().item<bool>());
  CHECK(noise.mean().item<double>() == Approx(0.5).margin(0.15));
  CHECK(!noise[0].equal(noise[1]));
  CHECK(!noise.equal(mask_noise(batch, 50, 2)));
  batch.epoch = 1;
  CHECK(!noise.equal(mask_noise(batch, 50, 1)));
  batch.epoch = 0;
  batch.indices = torch::tensor({9, 7});
  CHECK(noise.equal(mask_noise(batch, 50, 1).flip(0)));
}

TEST_CASE("the encoder never sees a masked patch") {
  const auto mae = build();
  const RandomMask mask = some_mask(*mae);
  const at::Tensor images = some_images();
  const at::Tensor pixels = patchify(images, 4, PixelOrder::channel_last);
  const at::Tensor other = torch::where(mask.binary().unsqueeze(2).to(torch::kBool), 100., pixels);
  const at::Tensor changed =
      unpatchify(other.to(torch::kFloat32), 4, 6, 4, PixelOrder::channel_last);
  CHECK(mae->encode(changed, mask).equal(mae->encode(images, mask)));
  CHECK(!mae->loss(changed, mask).equal(mae->loss(images, mask)));
}

TEST_CASE("in bf16 the loss stays a float32 number near the float32 one") {
  const auto mae = build();
  const RandomMask mask = some_mask(*mae);
  const at::Tensor exact = mae->loss(some_images(), mask);
  const ComputeTypeGuard bf16(torch::kBFloat16);
  const at::Tensor loss = mae->loss(some_images(), mask);
  CHECK(loss.scalar_type() == torch::kFloat32);
  CHECK(loss.item<double>() == Approx(exact.item<double>()).epsilon(0.02));
}

TEST_CASE("the decoder of ViT-B has the official names and number of parameters") {
  RunOptions run;
  MaeOptions::set_defaults(run);
  run.model.embed_dim = 768;
  run.model.num_heads = 12;
  run.model.depth = 1;  // the decoder doesn't depend on it
  const Mae mae(MaeOptions{}, run);
  int64_t count = 0;
  for (const auto& p : mae.named_parameters()) {
    if (!p.key().starts_with("encoder.")) count += p.value().numel();
  }
  CHECK(count == 26109184);
  const auto parameters = mae.named_parameters();
  for (const char* name : {"mask_token",
                           "decoder_embed.weight",
                           "decoder_pos_embed",
                           "decoder_blocks.7.attn.qkv.bias",
                           "decoder_blocks.0.mlp.fc1.weight",
                           "decoder_norm.bias",
                           "decoder_pred.weight",
                           "encoder.pos_embed",
                           "encoder.cls_token",
                           "encoder.patch_embed.proj.weight"}) {
    INFO(name);
    CHECK(parameters.contains(name));
  }
}

TEST_CASE("the arithmetic of ViT-B is a little less than the plain method's") {
  RunOptions run;
  MaeOptions::set_defaults(run);
  run.model.embed_dim = 192;
  run.model.num_heads = 3;
  run.model.depth = 12;
  MaeOptions options;
  const double all = 34.0e9;  // ViT-Ti with the 512-wide decoder: docs/official_settings.md
  const double skipped = 6 * 50.0 * (10 * 512 * 512 + 2 * 197 * 512) + 6 * 50.0 * 512 * 768;
  CHECK(Mae(options, run).flops_per_image() == Approx(all - skipped).epsilon(0.01));
}

TEST_CASE("weights start as the paper's") {
  const auto mae = build();
  const auto parameters = mae->named_parameters();
  CHECK(!parameters["decoder_pos_embed"].requires_grad());
  CHECK(!parameters["encoder.pos_embed"].requires_grad());
  CHECK(parameters["decoder_pos_embed"].select(1, 0).abs().max().item<double>() == 0);
  CHECK(parameters["decoder_pos_embed"].select(1, 1).abs().max().item<double>() == 1);
  const at::Tensor weight = parameters["decoder_embed.weight"];
  const double bound = std::sqrt(6.0 / (16 + 24));
  CHECK(weight.abs().max().item<double>() <= bound);
  CHECK(weight.std().item<double>() == Approx(bound / std::sqrt(3.0)).epsilon(0.15));
  CHECK(parameters["decoder_pred.bias"].abs().max().item<double>() == 0);
  CHECK(parameters["mask_token"].std().item<double>() == Approx(0.02).epsilon(0.5));
}

TEST_CASE("the published CIFAR-10 variant can be described") {
  auto run = small_run();
  run.model.pos_embed = PosEmbed::learned;
  run.model.pos_embed_cls = false;
  run.model.qkv_bias = QkvBias::none;
  run.model.norm_eps = 1e-5;
  auto options = small_options();
  options.mae.norm_pix_loss = false;
  options.mae.pixel_order = PixelOrder::channel_first;
  options.mae.init = MaeInit::framework;
  options.mae.decoder = {.embed_dim = 24,
                         .depth = 1,
                         .num_heads = 2,
                         .pos_embed = DecoderPositions::learned,
                         .project = false,
                         .norm = false};
  const auto mae = build(options, run);
  const auto names = mae->named_parameters();
  CHECK(!names.contains("decoder_embed.weight"));
  CHECK(!names.contains("decoder_norm.weight"));
  CHECK(!names.contains("decoder_blocks.0.attn.qkv.bias"));
  CHECK(names["encoder.pos_embed"].size(1) == 24);
  CHECK(names["decoder_pos_embed"].size(1) == 25);
  CHECK(names["decoder_pred.bias"].abs().max().item<double>() > 0);

  // Mean over all pixels of (prediction - image)² · mask, divided by the ratio.
  const at::Tensor images = some_images();
  const RandomMask mask = some_mask(*mae);
  const at::Tensor prediction = mae->predict_all(mae->encode(images, mask), mask);
  const at::Tensor error = (prediction - patchify(images, 4, PixelOrder::channel_first)).square();
  const at::Tensor want = (error * mask.binary().unsqueeze(2)).mean() / 0.75;
  CHECK(mae->loss(images, mask).item<double>() == Approx(want.item<double>()).epsilon(1e-5));
}

TEST_CASE("options that can't work are refused") {
  auto options = small_options();
  options.mae.mask_ratio = 0.99;
  CHECK(error_of(options) == "mae.mask_ratio: 0.99 of 24 patches leaves none visible");
  options = small_options();
  options.mae.decoder.num_heads = 3;
  CHECK(error_of(options) == "mae.decoder.embed_dim: 16 is not a multiple of num_heads 3");
  options = small_options();
  options.mae.decoder.project = false;
  CHECK_THAT(error_of(options), ContainsSubstring("mae.decoder.project"));
  options = small_options();
  options.augment.height = 224;
  CHECK_THAT(error_of(options), ContainsSubstring("augment.height"));
  auto run = small_run();
  run.model.rel_pos_bias = RelPosBias::shared;
  CHECK_THAT(error_of(small_options(), run), ContainsSubstring("model.rel_pos_bias"));
}

TEST_CASE("images of another size are an error, not a crash") {
  const auto mae = build();
  Batch batch;
  batch.views = {torch::randn({2, 3, 24, 16})};
  CHECK_THROWS_AS(mae->step(batch, {}), Error);
}

TEST_CASE("previews show the visible patches as they are and say what the rest is") {
  const auto mae = build();
  NormalizeOptions normalize;
  Batch batch;
  batch.views = {previt::normalize(torch::rand({2, 3, 16, 24}), normalize, torch::kCPU)};
  const auto pictures = mae->previews(batch, normalize);
  REQUIRE(pictures.size() == 1);
  CHECK_THAT(pictures[0].caption, ContainsSubstring("of the true one"));
  const at::Tensor& pixels = pictures[0].pixels;
  CHECK(pixels.size(2) == 3);
  // 80 x 120 pixels each: the input stands first, the reconstruction with visible patches last.
  const at::Tensor row = pixels.narrow(0, 15, 80).to(torch::kInt32);
  const at::Tensor input = row.narrow(1, 4, 120), pasted = row.narrow(1, 4 + 3 * 124, 120);
  const double same = (input - pasted).abs().le(1).to(torch::kFloat64).mean().item<double>();
  CHECK(same >= 0.25);
  CHECK(same < 0.6);
  CHECK(mae->previews(batch, normalize)[0].pixels.equal(pixels));
}
