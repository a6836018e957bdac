#include "models/weights/weights.h"
#include "pretrain/objectives/simmim.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"

using namespace previt;

namespace {

RunOptions small_run() {
  RunOptions run;
  SimMimOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 2;
  run.model.num_heads = 2;
  run.model.image_size = {16, 24};
  run.model.patch_size = 4;
  run.model.drop_path = 0;
  run.optimizer.name = OptimizerKind::sgd;
  run.optimizer.base_lr = 0.05;
  run.optimizer.base_batch = 0;
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = 6;
  run.train.precision = Precision::fp32;
  return run;
}

SimMimOptions small_simmim() {
  SimMimOptions options;
  options.simmim.mask_unit = 8;
  return options;
}

Batch pictures(int64_t first, int64_t count) {
  torch::manual_seed(3);
  Batch batch;
  batch.views = {torch::rand({6, 3, 16, 24}).narrow(0, first, count)};
  batch.indices = torch::arange(6).narrow(0, first, count);
  return batch;
}

std::shared_ptr<SimMim> build(const RunOptions& run) {
  torch::manual_seed(5);
  auto simmim = std::make_shared<SimMim>(small_simmim(), run);
  simmim->train();
  return simmim;
}

}  // namespace

TEST_CASE("simmim: whole units are masked, equally many of each image, by index") {
  const auto simmim = build(small_run());
  const at::Tensor masks = simmim->mask_of(pictures(0, 6));
  CHECK(masks.sizes().vec() == std::vector<int64_t>{6, 24});
  CHECK((masks.sum(1) == 16).all().item<bool>());  // 4 of 6 units (3.6 rounded up) of 4 patches
  const at::Tensor units = masks.view({6, 2, 2, 3, 2}).transpose(2, 3).flatten(3);
  CHECK(torch::equal(units.all(3), units.any(3)));
  CHECK(torch::equal(simmim->mask_of(pictures(4, 1)), masks.slice(0, 4, 5)));
  CHECK(!torch::equal(masks[0], masks[1]));
}

TEST_CASE("simmim: the loss is the mean absolute error of the masked pixels") {
  const auto simmim = build(small_run());
  const torch::NoGradGuard no_grad;
  const Batch batch = pictures(0, 6);
  const at::Tensor& images = batch.views[0];
  const PatchMask mask(simmim->mask_of(batch), torch::kCPU);
  const at::Tensor predicted = mask.select(simmim->predict_all(images, mask));
  const at::Tensor pixels = images.view({6, 3, 4, 4, 6, 4}).permute({0, 2, 4, 1, 3, 5});
  const at::Tensor wanted = mask.select(pixels.flatten(3).flatten(1, 2));
  CHECK(torch::allclose(simmim->loss(images, mask), (predicted - wanted).abs().mean(), 1e-5, 1e-6));
}

TEST_CASE("simmim: accumulation equals the large batch") {
  const auto trained = [](int64_t micro) {
    RunOptions run = small_run();
    run.train.micro_batch = micro;
    const auto simmim = build(run);
    Stepper stepper(*simmim, run);
    for (int64_t step = 0; step < 2; ++step) {
      int64_t first = 0;
      stepper.step({.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4}, 6, [&] {
        first += micro;
        return pictures(first - micro, micro);
      });
    }
    return named_tensors(*simmim);
  };
  const NamedTensors whole = trained(6), parts = trained(2);
  for (const auto& [name, tensor] : whole) {
    INFO(name);
    CHECK(torch::allclose(parts.at(name), tensor, 0, 2e-6));
  }
}

TEST_CASE("simmim: tokens and positions are not decayed, the mask token is") {
  RunOptions run = small_run();
  run.model.pos_embed = PosEmbed::learned;
  const auto simmim = build(run);
  const auto rules = simmim->param_rules();
  for (const auto& parameter : simmim->named_parameters()) {
    const std::string& name = parameter.key();
    INFO(name);
    const bool exempt =
        name == "encoder.pos_embed" || name == "encoder.cls_token" || parameter.value().dim() == 1;
    CHECK(rules(name, parameter.value()).decay != exempt);
  }
  CHECK(simmim->named_parameters().contains("encoder.pos_embed"));
}

TEST_CASE("simmim: a unit that doesn't fit the image is refused") {
  SimMimOptions options;  // 32 pixels
  CHECK_THROWS_WITH(SimMim(options, small_run()),
                    ContainsSubstring("simmim.mask_unit: 32 is not a multiple"));
}

TEST_CASE("simmim: previews show what it predicts") {
  const auto shown = build(small_run())->previews(pictures(0, 2), NormalizeOptions{});
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].name == "reconstruction");
  CHECK_THAT(shown[0].caption, ContainsSubstring("67% of its patches masked"));
}
