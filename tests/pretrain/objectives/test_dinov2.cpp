#include "models/heads/multi_crop.h"
#include "pretrain/objectives/dinov2.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"

using namespace previt;
using namespace previt::test;

namespace {

at::Tensor teacher_center(const Dinov2& dinov2, const char* name) {
  return dinov2.named_buffers()[name].clone();
}

}  // namespace

TEST_CASE("dinov2: a share of the crops is masked, by shares that are spread over the range") {
  Dinov2Options options = small_dinov2(false);
  options.dinov2.mask.ratio = {0.2, 0.6};
  RunOptions run = small_crop_run();
  run.model.image_size = {96};  // 576 patches: what no block fits into is little
  const auto dinov2 = build(options, run);
  const Batch batch = crops(*dinov2, 0, 0, kCropBatch);
  const at::Tensor masks = dinov2->masks_of(batch);
  REQUIRE(masks.sizes().vec() == std::vector<int64_t>{2 * kCropBatch, 576});
  std::vector<double> shares;
  for (const at::Tensor& mask : masks.unbind(0)) {
    const double share = mask.to(torch::kDouble).mean().item<double>();
    if (share > 0) shares.push_back(share);
  }
  REQUIRE(shares.size() == kCropBatch);  // half of the crops of two views
  std::sort(shares.begin(), shares.end());
  for (size_t i = 0; i < shares.size(); ++i) {
    const double begin = 0.2 + 0.4 * static_cast<double>(i) / kCropBatch;
    CHECK(shares[i] > begin - 0.02);
    CHECK(shares[i] < begin + 0.4 / kCropBatch + 1e-9);
  }
  CHECK(torch::equal(dinov2->masks_of(batch), masks));
  CHECK(!torch::equal(dinov2->masks_of(crops(*dinov2, 1, 0, kCropBatch)), masks));
}

TEST_CASE("dinov2: rows of class tokens and masked patches are those of the whole networks") {
  const bool separate = GENERATE(true, false);
  const auto dinov2 = build(small_dinov2(separate), small_crop_run());
  const torch::NoGradGuard no_grad;
  dinov2->student().mask_token.normal_();
  Batch batch = crops(*dinov2, 0, 0, 3);
  for (auto& view : batch.views) view = view.to(torch::kFloat32) / 255;
  const PatchMask mask(dinov2->masks_of(batch), torch::kCPU);
  REQUIRE(mask.count() > 0);
  const at::Tensor globals = torch::cat({batch.views[0], batch.views[1]});
  const auto check = [&](Dinov2Network& network,
                         const Dinov2Rows& rows,
                         const at::Tensor& embedded,
                         const std::vector<at::Tensor>& locals) {
    Vit& vit = *network.backbone;
    const at::Tensor tokens = vit.norm(vit.run_blocks(embedded, 4, 4));
    at::Tensor cls = tokens.select(1, 0);
    CHECK(torch::allclose(rows.features, cls, 1e-4, 1e-5));
    if (!locals.empty()) cls = torch::cat({cls, multi_crop_features(vit, locals)});
    CHECK(torch::allclose(rows.cls, network.dino_head->forward(cls), 1e-4, 1e-5));
    DinoHead& head = separate ? *network.ibot_head : *network.dino_head;
    CHECK(torch::allclose(rows.patches, head.forward(mask.select(tokens.slice(1, 1))), 1e-4, 1e-5));
  };
  check(dinov2->student(),
        dinov2->student_rows(batch.views, mask),
        dinov2->student().backbone->embed(
            globals, mask.masked, dinov2->student().mask_token.unsqueeze(0)),
        {batch.views.begin() + 2, batch.views.end()});
  check(dinov2->teacher(),
        dinov2->teacher_rows(batch.views, mask),
        dinov2->teacher().backbone->embed(globals),
        {});
}

TEST_CASE("dinov2: frozen prototypes stay, and the optimizer counts their gradients") {
  Dinov2Options options = small_dinov2(true);
  options.dinov2.freeze_last_layer = 1;  // two steps
  options.dinov2.head.norm_last_layer = options.dinov2.patch_head.norm_last_layer = false;
  RunOptions run = small_crop_run();
  run.optimizer.name = OptimizerKind::adamw;
  const auto dinov2 = build(options, run);
  const auto& heads = {dinov2->student().dino_head, dinov2->student().ibot_head};
  std::vector<at::Tensor> prototypes, first;
  for (const auto& head : heads)
    prototypes.insert(prototypes.end(), {head->weight_v, head->weight_g});
  for (const auto& tensor : prototypes) first.push_back(tensor.detach().clone());
  const at::Tensor other = dinov2->student().mask_token.detach().clone();
  Stepper stepper(*dinov2, run);
  make_steps(*dinov2, stepper, 0, 2);
  CHECK(!torch::equal(dinov2->student().mask_token, other));
  const auto teacher = dinov2->teacher().dino_head;
  CHECK(torch::equal(teacher->weight_v, first[0]));
  for (size_t i = 0; i < prototypes.size(); ++i) CHECK(torch::equal(prototypes[i], first[i]));
  for (const char* head : {"dino_head", "ibot_head"}) {
    for (const char* weight : {"weight_v", "weight_g"}) {
      const auto name = fmt::format("student.{}.last_layer.{}", head, weight);
      CHECK(stepper.optimizer().state().at("step." + name).item<double>() == 2);
      CHECK(stepper.optimizer().state().at("exp_avg." + name).abs().max().item<double>() > 0);
    }
  }
  make_steps(*dinov2, stepper, 2, 3);
  for (size_t i = 0; i < prototypes.size(); ++i) CHECK(!torch::equal(prototypes[i], first[i]));
  CHECK(!torch::equal(teacher->weight_v, first[0]));
}

TEST_CASE("dinov2: centers follow the means of class tokens and of masked patches") {
  Dinov2Options options = small_dinov2(true);
  options.dinov2.teacher_momentum = options.dinov2.teacher_momentum_end = 1;  // the teacher stays
  const auto dinov2 = build(options, small_crop_run());
  Batch batch = crops(*dinov2, 0, 0, kCropBatch);
  const PatchMask mask(dinov2->masks_of(batch), torch::kCPU);
  for (auto& view : batch.views) view = normalize(view, NormalizeOptions{}, torch::kCPU);
  const Dinov2Rows rows = dinov2->teacher_rows(batch.views, mask);
  Stepper stepper(*dinov2, small_crop_run());
  make_steps(*dinov2, stepper, 0, 1);
  CHECK(torch::allclose(teacher_center(*dinov2, "center")[0], 0.1 * rows.cls.mean(0), 1e-4, 1e-6));
  CHECK(torch::allclose(
      teacher_center(*dinov2, "center2")[0], 0.1 * rows.patches.mean(0), 1e-4, 1e-6));
}

TEST_CASE("dinov2: a batch without masked patches trains the class tokens") {
  Dinov2Options options = small_dinov2(GENERATE(true, false));
  options.dinov2.centering = GENERATE(Centering::center, Centering::sinkhorn_knopp);
  options.dinov2.mask.probability = 0;
  const auto dinov2 = build(options, small_crop_run());
  Stepper stepper(*dinov2, small_crop_run());
  const StepOutcome outcome =
      stepper.step(info_of(0), kCropBatch, [&] { return crops(*dinov2, 0, 0, kCropBatch); });
  CHECK(!outcome.skipped);
  CHECK(outcome.gradient_norm > 0);
  CHECK(teacher_center(*dinov2, "center2").abs().max().item<double>() == 0);
  const bool moved = options.dinov2.centering == Centering::center;
  CHECK((teacher_center(*dinov2, "center").abs().max().item<double>() > 0) == moved);
}

TEST_CASE("dinov2: the teacher's temperature rises with every step of its warm-up") {
  Dinov2Options options = small_dinov2(false);
  options.dinov2.warmup_teacher_temp = 0.04;
  options.dinov2.teacher_temp = 0.07;
  options.dinov2.warmup_teacher_temp_epochs = 2;  // four steps
  const auto dinov2 = build(options, small_crop_run());
  for (int64_t step = 0; step < 4; ++step) {
    CHECK(dinov2->teacher_temperature(info_of(step)) ==
          Approx(0.04 + 0.01 * static_cast<double>(step)));
  }
  CHECK(dinov2->teacher_temperature(info_of(7)) == Approx(0.07));
}

TEST_CASE("dinov2: options that don't fit together are refused") {
  RunOptions run = small_crop_run();
  Dinov2Options options = small_dinov2(false);
  options.augment.global_2.height = 8;
  CHECK_THROWS_WITH(Dinov2(options, run), ContainsSubstring("augment.global_2"));
  options = small_dinov2(false);
  run.train.micro_batch = 2;
  CHECK_NOTHROW(Dinov2(options, run));
  options.dinov2.centering = Centering::sinkhorn_knopp;
  CHECK_THROWS_WITH(Dinov2(options, run), ContainsSubstring("dinov2.centering: sinkhorn_knopp"));
}
