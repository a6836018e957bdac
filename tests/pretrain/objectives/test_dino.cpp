#include "error.h"
#include "models/heads/multi_crop.h"
#include "pretrain/objectives/dino.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"

using namespace previt;
using namespace previt::test;

namespace {

// Losses of eight steps on one batch while teacher and center, and so the targets, stay.
std::vector<double> losses(Precision precision, double rate) {
  RunOptions run = small_crop_run();
  run.train.precision = precision;
  run.optimizer.base_lr = rate;
  DinoOptions options = small_dino();
  options.dino.teacher_momentum = options.dino.teacher_momentum_end = 1;
  options.dino.center_momentum = 1;
  const auto dino = build(options, run);
  Stepper stepper(*dino, run);
  std::vector<double> all;
  for (int64_t step = 0; step < 8; ++step) {
    const auto batch = [&] { return crops(*dino, 0, 0, kCropBatch); };
    all.push_back(stepper.step(info_of(step), kCropBatch, batch).loss);
  }
  return all;
}

}  // namespace

TEST_CASE("dino: the center moves once per optimizer step, to the mean of all the teacher's rows") {
  RunOptions run = small_crop_run();
  run.train.micro_batch = 2;
  const auto dino = build(small_dino(), run);
  const at::Tensor mean = [&] {
    const torch::NoGradGuard no_grad;
    auto views = crops(*dino, 0, 0, kCropBatch).views;
    views.resize(2);
    for (auto& view : views) view = normalize(view, run.normalize, torch::kCPU);
    DinoNetwork& teacher = dino->teacher();
    return teacher.head->forward(multi_crop_features(*teacher.backbone, views)).mean(0, true);
  }();
  Stepper stepper(*dino, run);
  make_steps(*dino, stepper, 0, 1, 2);
  CHECK(torch::allclose(dino->named_buffers()["center"], 0.1 * mean, 1e-4, 1e-6));
}

TEST_CASE("dino: crops are the official ones and fit the model") {
  RunOptions run;
  DinoOptions::set_defaults(run);
  run.model.embed_dim = 12;
  run.model.depth = 1;
  run.model.num_heads = 1;
  DinoOptions options = small_dino();
  options.dino.local_crops = 8;
  options.augment = {};
  const auto views = Dino(options, run).views();
  REQUIRE(views.size() == 3);
  CHECK(views[0].height == 224);
  CHECK(views[0].blur == 1);
  CHECK(views[1].count == 1);
  CHECK(views[1].solarize == 0.2);
  CHECK(views[2].count == 8);
  CHECK(views[2].width == 96);
  CHECK(views[2].scale == std::vector<double>{0.05, 0.4});
  options.augment.local.height = 97;
  CHECK_THROWS_WITH(Dino(options, run), ContainsSubstring("augment.local: 97 x 96"));
}

TEST_CASE("dino: what needs the whole batch refuses to accumulate") {
  RunOptions run = small_crop_run();
  DinoOptions options = small_dino();
  options.dino.centering = Centering::sinkhorn_knopp;
  options.dino.koleo_weight = 0.1;
  const auto dino = build(options, run);
  Stepper stepper(*dino, run);
  make_steps(*dino, stepper, 0, 2);
  CHECK(dino->named_buffers()["center"].abs().max().item<double>() == 0);
  run.train.micro_batch = 2;
  CHECK_THROWS_WITH(Dino(options, run), ContainsSubstring("dino.centering: sinkhorn_knopp"));
  options.dino.centering = Centering::center;
  CHECK_THROWS_WITH(Dino(options, run), ContainsSubstring("dino.koleo_weight"));
}

TEST_CASE("dino: fixed targets are learnt, in bfloat16 as in float32") {
  const auto learnt = losses(Precision::fp32, 0.05), in_bf16 = losses(Precision::bf16, 0.05);
  const double gain = learnt.front() - learnt.back();
  CHECK(gain > 0.2 * learnt.front());
  CHECK(in_bf16.front() - in_bf16.back() == Approx(gain).epsilon(0.1));
  CHECK(in_bf16 != learnt);
  const auto still = losses(Precision::fp32, 0);  // nothing but the student moves the loss
  CHECK(still == std::vector<double>(8, learnt.front()));
}
