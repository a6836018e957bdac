#include "support/multi_crop_run.h"

#include <algorithm>

#include "support/catch.h"

namespace previt::test {
namespace {

void make_small(StudentTeacherOptions& method, MultiCropOptions& crops) {
  method.local_crops = 3;
  method.freeze_last_layer = 0;
  method.teacher_momentum = 0.9;
  method.head = {.out_dim = 40, .hidden_dim = 32, .bottleneck_dim = 12};
  crops.local.height = crops.local.width = 8;
}

template <class Method, class Options>
std::shared_ptr<Method> build_for_training(const Options& options, const RunOptions& run) {
  torch::manual_seed(5);
  auto method = std::make_shared<Method>(options, run);
  method->train();
  return method;
}

}  // namespace

RunOptions small_crop_run() {
  RunOptions run;
  StudentTeacherOptions::set_defaults(run);
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
  run.train.batch = kCropBatch;
  run.train.precision = Precision::fp32;
  return run;
}

DinoOptions small_dino() {
  DinoOptions options;
  make_small(options.dino, options.augment);
  return options;
}

IbotOptions small_ibot(bool shared_head) {
  IbotOptions options;
  make_small(options.ibot, options.augment);
  options.ibot.shared_head = options.ibot.shared_head_teacher = shared_head;
  options.ibot.patch_out_dim = 30;
  options.ibot.mask.ratio = {0, 0.4};
  options.ibot.mask.spread = {0, 0.2};
  return options;
}

Dinov2Options small_dinov2(bool separate_head) {
  Dinov2Options options;
  make_small(options.dinov2, options.augment);
  options.dinov2.separate_head = separate_head;
  options.dinov2.patch_head = {.out_dim = 30, .hidden_dim = 32, .bottleneck_dim = 12};
  return options;
}

std::shared_ptr<Dino> build(const DinoOptions& options, const RunOptions& run) {
  return build_for_training<Dino>(options, run);
}

std::shared_ptr<Ibot> build(const IbotOptions& options, const RunOptions& run) {
  return build_for_training<Ibot>(options, run);
}

std::shared_ptr<Dinov2> build(const Dinov2Options& options, const RunOptions& run) {
  return build_for_training<Dinov2>(options, run);
}

std::shared_ptr<StudentTeacher> CropMethod::build(const RunOptions& run) const {
  if (name == "dino") {
    DinoOptions options = small_dino();
    if (change) change(options.dino);
    return test::build(options, run);
  }
  if (name == "dinov2") {
    Dinov2Options options = small_dinov2(/*separate_head=*/false);
    options.dinov2.mask.probability = options.dinov2.koleo_weight = 0;
    if (change) change(options.dinov2);
    return test::build(options, run);
  }
  IbotOptions options = small_ibot(/*shared_head=*/name == "ibot");
  if (change) change(options.ibot);
  return test::build(options, run);
}

CropMethod any_method() {
  return {GENERATE(as<std::string>(), "dino", "ibot", "ibot, own", "dinov2")};
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4};
}

Batch crops(const Objective& objective, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  Batch batch;
  for (const auto& view : objective.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      const at::Tensor whole =
          torch::randint(256, {kCropBatch, 3, view.height, view.width}, torch::kUInt8);
      batch.views.push_back(whole.narrow(0, first, count));
    }
  }
  batch.indices = torch::arange(kCropBatch).narrow(0, first, count) + 17 * step;
  return batch;
}

void make_steps(Objective& objective, Stepper& stepper, int64_t from, int64_t to, int64_t micro) {
  for (int64_t step = from; step < to; ++step) {
    int64_t first = 0;
    const StepOutcome outcome = stepper.step(info_of(step), kCropBatch, [&] {
      first += micro;
      return crops(objective, step, first - micro, micro);
    });
    REQUIRE(!outcome.skipped);
  }
}

double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a) {
    largest = std::max(largest, (tensor - b.at(name)).abs().max().item<double>());
  }
  return largest;
}

}  // namespace previt::test
