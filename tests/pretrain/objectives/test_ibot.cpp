#include "models/heads/multi_crop.h"
#include "models/weights/weights.h"
#include "pretrain/objectives/ibot.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

constexpr int64_t kBatch = 8;

RunOptions small_run() {
  RunOptions run;
  IbotOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 2;
  run.model.num_heads = 2;
  run.model.image_size = {16};
  run.model.patch_size = 4;
  run.model.drop_path = 0;
  run.optimizer.name = OptimizerKind::sgd;
  run.optimizer.base_lr = 0.05;
  run.optimizer.base_batch = 0;
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = kBatch;
  run.train.precision = Precision::fp32;
  return run;
}

IbotOptions small_ibot(bool shared = true) {
  IbotOptions options;
  options.ibot.local_crops = 3;
  options.ibot.freeze_last_layer = 0;
  options.ibot.teacher_momentum = 0.9;
  options.ibot.shared_head = options.ibot.shared_head_teacher = shared;
  options.ibot.head = {.out_dim = 40, .hidden_dim = 32, .bottleneck_dim = 12};
  options.ibot.patch_out_dim = 30;
  options.ibot.mask.ratio = {0, 0.4};
  options.ibot.mask.spread = {0, 0.2};
  options.augment.local.height = options.augment.local.width = 8;
  return options;
}

std::shared_ptr<Ibot> build(const IbotOptions& options, const RunOptions& run) {
  torch::manual_seed(5);
  auto ibot = std::make_shared<Ibot>(options, run);
  ibot->train();
  return ibot;
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4};
}

Batch crops(const Ibot& ibot, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  Batch batch;
  for (const auto& view : ibot.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      batch.views.push_back(torch::randint(256, {kBatch, 3, view.height, view.width}, torch::kUInt8)
                                .narrow(0, first, count));
    }
  }
  batch.indices = torch::arange(kBatch).narrow(0, first, count) + 17 * step;
  return batch;
}

void make_steps(Ibot& ibot, Stepper& stepper, int64_t from, int64_t to, int64_t micro = kBatch) {
  for (int64_t step = from; step < to; ++step) {
    int64_t first = 0;
    const StepOutcome outcome = stepper.step(info_of(step), kBatch, [&] {
      first += micro;
      return crops(ibot, step, first - micro, micro);
    });
    REQUIRE(!outcome.skipped);
  }
}

NamedTensors after_three_steps(int64_t micro, bool shared) {
  RunOptions run = small_run();
  run.train.micro_batch = micro;
  const auto ibot = build(small_ibot(shared), run);
  Stepper stepper(*ibot, run);
  make_steps(*ibot, stepper, 0, 3, micro);
  return named_tensors(*ibot);
}

double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a) {
    largest = std::max(largest, (tensor - b.at(name)).abs().max().item<double>());
  }
  return largest;
}

}  // namespace

TEST_CASE("ibot: accumulation ends with the large batch's student, teacher and centers") {
  const bool shared = GENERATE(true, false);
  const NamedTensors whole = after_three_steps(kBatch, shared);
  CHECK(largest_difference(after_three_steps(2, shared), whole) < 2e-6);
  CHECK(largest_difference(after_three_steps(1, shared), whole) < 2e-6);
  CHECK(whole.at("center").abs().max().item<double>() > 1e-3);  // they moved
  CHECK(whole.at("center2").abs().max().item<double>() > 1e-3);
}

TEST_CASE("ibot: every global crop of an image has its own mask, by index") {
  const auto ibot = build(small_ibot(), small_run());
  const at::Tensor masks = ibot->masks_of(crops(*ibot, 0, 0, kBatch));  // crop by crop
  CHECK(masks.sizes().vec() == std::vector<int64_t>{2 * kBatch, 16});
  const at::Tensor one = ibot->masks_of(crops(*ibot, 0, 3, 1));
  CHECK(torch::equal(one[0], masks[3]));
  CHECK(torch::equal(one[1], masks[kBatch + 3]));
  CHECK(!torch::equal(masks.narrow(0, 0, kBatch), masks.narrow(0, kBatch, kBatch)));
}

TEST_CASE("ibot: rows of class tokens and masked patches are those of the whole network") {
  const auto ibot = build(small_ibot(false), small_run());
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
  const auto ibot = build(options, small_run());
  at::Tensor mean;
  {
    const torch::NoGradGuard no_grad;
    const Batch batch = crops(*ibot, 0, 0, kBatch);
    std::vector<at::Tensor> globals;
    for (int i = 0; i < 2; ++i) {
      globals.push_back(normalize(batch.views[i], NormalizeOptions{}, torch::kCPU));
    }
    IbotHead& head = *ibot->teacher().head;
    const at::Tensor tokens = ibot->teacher().backbone->forward_features(torch::cat(globals));
    mean = head.patch_logits(head.bottleneck(tokens.slice(1, 1).flatten(0, 1))).mean(0);
  }
  Stepper stepper(*ibot, small_run());
  make_steps(*ibot, stepper, 0, 1);
  const at::Tensor center = ibot->named_buffers()["center2"];
  CHECK(torch::allclose(center.flatten(), 0.1 * mean, 1e-4, 1e-6));
}

TEST_CASE("ibot: a batch without masked patches trains the class tokens") {
  IbotOptions options = small_ibot();
  options.ibot.mask.ratio = {0};
  options.ibot.mask.spread = {0};
  const auto ibot = build(options, small_run());
  Stepper stepper(*ibot, small_run());
  const StepOutcome outcome =
      stepper.step(info_of(0), kBatch, [&] { return crops(*ibot, 0, 0, kBatch); });
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
  const auto ibot = build(options, small_run());
  const double first = options.ibot.warmup_teacher_temp_epochs == 0 ? 0.06 : 0.03;
  CHECK(ibot->patch_temperature(info_of(0)) == 0.03);
  CHECK(ibot->patch_temperature(info_of(1)) == 0.03);
  CHECK(ibot->patch_temperature(info_of(2)) == first);
  CHECK(ibot->patch_temperature(info_of(4)) == 0.06);

  const at::Tensor embed = ibot->student().masked_embed.detach().clone();
  Stepper stepper(*ibot, small_run());
  make_steps(*ibot, stepper, 0, 2);
  CHECK(torch::equal(ibot->student().masked_embed, embed));  // no patch wore it
  make_steps(*ibot, stepper, 2, 3);
  CHECK(!torch::equal(ibot->student().masked_embed, embed));
}

TEST_CASE("ibot: a run that goes on from a checkpoint ends with the same weights") {
  RunOptions run = small_run();
  run.model.drop_path = 0.3;
  const auto whole = build(small_ibot(), run);
  Stepper whole_stepper(*whole, run);
  make_steps(*whole, whole_stepper, 0, 4);

  const TempFolder folder;
  {
    const auto ibot = build(small_ibot(), run);
    Stepper stepper(*ibot, run);
    make_steps(*ibot, stepper, 0, 2);
    save_checkpoint(folder.path(), 2, collect(*ibot, stepper));
  }
  torch::manual_seed(77);
  const auto resumed = std::make_shared<Ibot>(small_ibot(), run);
  resumed->train();
  Stepper stepper(*resumed, run);
  std::vector<std::string> warnings;
  restore(load_latest(folder.path(), warnings), *resumed, stepper);
  make_steps(*resumed, stepper, 2, 4);
  CHECK(largest_difference(named_tensors(*resumed), named_tensors(*whole)) == 0);
}

TEST_CASE("ibot: prototypes of both kinds are frozen at first") {
  IbotOptions options = small_ibot(false);
  options.ibot.freeze_last_layer = 1;
  const auto ibot = build(options, small_run());
  const at::Tensor cls = ibot->student().head->weight_v.detach().clone();
  const at::Tensor patch = ibot->student().head->patch_v.detach().clone();
  Stepper stepper(*ibot, small_run());
  make_steps(*ibot, stepper, 0, 2);
  CHECK(torch::equal(ibot->student().head->weight_v, cls));
  CHECK(torch::equal(ibot->student().head->patch_v, patch));
  make_steps(*ibot, stepper, 2, 3);
  CHECK(!torch::equal(ibot->student().head->weight_v, cls));
  CHECK(!torch::equal(ibot->student().head->patch_v, patch));
}

TEST_CASE("ibot: options that don't fit together are refused") {
  IbotOptions options = small_ibot();
  options.ibot.shared_head_teacher = false;
  CHECK_THROWS_WITH(Ibot(options, small_run()), ContainsSubstring("ibot.shared_head_teacher"));
  options = small_ibot();
  options.ibot.mask.spread = {0.1};
  CHECK_THROWS_WITH(Ibot(options, small_run()),
                    ContainsSubstring("ibot.mask.spread: 1 numbers for 2"));
  options = small_ibot();
  options.augment.global_2.height = 8;
  CHECK_THROWS_WITH(Ibot(options, small_run()), ContainsSubstring("augment.global_2"));
}
