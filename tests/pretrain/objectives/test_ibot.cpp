#include "models/heads/multi_crop.h"
#include "pretrain/objectives/ibot.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("ibot: every global crop of an image has its own mask, by index") {
  const auto ibot = build(small_ibot(), small_crop_run());
  const at::Tensor masks = ibot->masks_of(crops(*ibot, 0, 0, kCropBatch));  // crop by crop
  CHECK(masks.sizes().vec() == std::vector<int64_t>{2 * kCropBatch, 16});
  const at::Tensor one = ibot->masks_of(crops(*ibot, 0, 3, 1));
  CHECK(torch::equal(one[0], masks[3]));
  CHECK(torch::equal(one[1], masks[kCropBatch + 3]));
  CHECK(!torch::equal(masks.narrow(0, 0, kCropBatch), masks.narrow(0, kCropBatch, kCropBatch)));
}

TEST_CASE("ibot: rows of class tokens and masked patches are those of the whole network") {
  const auto ibot = build(small_ibot(false), small_crop_run());
  const torch::NoGradGuard no_grad;
  Batch batch = crops(*ibot, 0, 0, 3);
  for (auto& view : batch.views) view = view.to(torch::kFloat32) / 255;
  const PatchMask mask(ibot->masks_of(batch), torch::kCPU);
  const IbotRows rows = ibot->student_rows(batch.views, mask);
  Vit& vit = *ibot->student().backbone;
  IbotHead& head = *ibot->student().head;
  const at::Tensor globals = torch::cat({batch.views[0], batch.views[1]});
  const at::Tensor tokens = vit.norm(vit.run_blocks(
      vit.embed(globals, mask.masked, ibot->student().masked_embed.unsqueeze(0)), 4, 4));
  const at::Tensor local = multi_crop_features(vit, {batch.views.begin() + 2, batch.views.end()});
  const at::Tensor cls = torch::cat({tokens.select(1, 0), local});
  CHECK(torch::allclose(rows.cls, head.forward(cls), 1e-4, 1e-5));
  const at::Tensor patches = head.patch_logits(head.bottleneck(mask.select(tokens.slice(1, 1))));
  CHECK(torch::allclose(rows.patches, patches, 1e-4, 1e-5));
}

TEST_CASE("ibot: the patch center follows the mean over all patches") {
  IbotOptions options = small_ibot(false);
  options.ibot.teacher_momentum = options.ibot.teacher_momentum_end = 1;  // the teacher stays
  const auto ibot = build(options, small_crop_run());
  at::Tensor mean;
  {
    const torch::NoGradGuard no_grad;
    const Batch batch = crops(*ibot, 0, 0, kCropBatch);
    std::vector<at::Tensor> globals;
    for (int i = 0; i < 2; ++i) {
      globals.push_back(normalize(batch.views[i], NormalizeOptions{}, torch::kCPU));
    }
    IbotHead& head = *ibot->teacher().head;
    const at::Tensor tokens = ibot->teacher().backbone->forward_features(torch::cat(globals));
    mean = head.patch_logits(head.bottleneck(tokens.slice(1, 1).flatten(0, 1))).mean(0);
  }
  Stepper stepper(*ibot, small_crop_run());
  make_steps(*ibot, stepper, 0, 1);
  const at::Tensor center = ibot->named_buffers()["center2"];
  CHECK(torch::allclose(center.flatten(), 0.1 * mean, 1e-4, 1e-6));
}

TEST_CASE("ibot: a batch without masked patches trains the class tokens") {
  IbotOptions options = small_ibot();
  options.ibot.mask.ratio = {0};
  options.ibot.mask.spread = {0};
  const auto ibot = build(options, small_crop_run());
  Stepper stepper(*ibot, small_crop_run());
  const StepOutcome outcome =
      stepper.step(info_of(0), kCropBatch, [&] { return crops(*ibot, 0, 0, kCropBatch); });
  CHECK(!outcome.skipped);
  CHECK(std::isfinite(outcome.loss));
  CHECK(outcome.gradient_norm > 0);
}

TEST_CASE("ibot: masks and the patches' temperature begin at mask_start_epoch") {
  IbotOptions options = small_ibot(false);
  options.ibot.mask_start_epoch = 1;
  options.ibot.mask.ratio = {0.5};
  options.ibot.mask.spread = {0};
  options.ibot.warmup_teacher_temp_epochs = GENERATE(0, 2);
  options.ibot.warmup_patch_teacher_temp = 0.03;
  options.ibot.patch_teacher_temp = 0.06;
  const auto ibot = build(options, small_crop_run());
  const double first = options.ibot.warmup_teacher_temp_epochs == 0 ? 0.06 : 0.03;
  CHECK(ibot->patch_temperature(info_of(0)) == 0.03);
  CHECK(ibot->patch_temperature(info_of(1)) == 0.03);
  CHECK(ibot->patch_temperature(info_of(2)) == first);
  CHECK(ibot->patch_temperature(info_of(4)) == 0.06);

  const at::Tensor embed = ibot->student().masked_embed.detach().clone();
  Stepper stepper(*ibot, small_crop_run());
  make_steps(*ibot, stepper, 0, 2);
  CHECK(torch::equal(ibot->student().masked_embed, embed));  // no patch wore it
  make_steps(*ibot, stepper, 2, 3);
  CHECK(!torch::equal(ibot->student().masked_embed, embed));
}

TEST_CASE("ibot: options that don't fit together are refused") {
  IbotOptions options = small_ibot();
  options.ibot.shared_head_teacher = false;
  CHECK_THROWS_WITH(Ibot(options, small_crop_run()), ContainsSubstring("ibot.shared_head_teacher"));
  options = small_ibot();
  options.ibot.mask.spread = {0.1};
  CHECK_THROWS_WITH(Ibot(options, small_crop_run()),
                    ContainsSubstring("ibot.mask.spread: 1 numbers for 2"));
  options = small_ibot();
  options.augment.global_2.height = 8;
  CHECK_THROWS_WITH(Ibot(options, small_crop_run()), ContainsSubstring("augment.global_2"));
  options = small_ibot();
  options.ibot.shared_head = false;
  options.ibot.shared_head_teacher = true;
  options.ibot.patch_out_dim = options.ibot.head.out_dim + 1;
  CHECK_THROWS_AS(Ibot(options, small_crop_run()), UsageError);
}

TEST_CASE("ibot: the arithmetic is that of its crops, whatever the network's own image size") {
  IbotOptions options = small_ibot();
  RunOptions run = small_crop_run();
  const auto own_size = build(options, run);
  const ViewSpec crop = own_size->views().front();
  for (ViewSpec* global : {&options.augment.global_1, &options.augment.global_2}) {
    global->height = crop.height;
    global->width = crop.width;
  }
  run.model.image_size = {2 * crop.height, 2 * crop.width};
  const auto larger = build(options, run);
  REQUIRE(larger->views().back().height == own_size->views().back().height);
  CHECK(larger->flops_per_image() == own_size->flops_per_image());
}
