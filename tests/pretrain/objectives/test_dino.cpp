#include <nlohmann/json.hpp>
#include <sstream>

#include "files.h"
#include "models/heads/multi_crop.h"
#include "models/layers/block.h"
#include "models/weights/weights.h"
#include "pretrain/objectives/dino.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

constexpr int64_t kBatch = 8;

RunOptions small_run() {
  RunOptions run;
  DinoOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 2;
  run.model.num_heads = 2;
  run.model.image_size = {16};
  run.model.patch_size = 4;
  run.model.drop_path = 0;
  run.optimizer.base_lr = 0.05;
  run.optimizer.base_batch = 0;
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = kBatch;
  run.train.precision = Precision::fp32;
  return run;
}

DinoOptions small_dino() {
  DinoOptions options;
  options.dino.local_crops = 3;
  options.dino.freeze_last_layer = 0;
  options.dino.teacher_momentum = 0.9;
  options.dino.head = {.out_dim = 40, .hidden_dim = 32, .bottleneck_dim = 12};
  options.augment.local.height = options.augment.local.width = 8;
  return options;
}

std::shared_ptr<Dino> build(const DinoOptions& options, const RunOptions& run) {
  torch::manual_seed(5);
  auto dino = std::make_shared<Dino>(options, run);
  dino->train();
  return dino;
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4};
}

// The crops of the images of a step, [rows first … first + count) of each.
Batch crops(const Dino& dino, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  Batch batch;
  for (const auto& view : dino.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      const at::Tensor whole =
          torch::randint(256, {kBatch, 3, view.height, view.width}, torch::kUInt8);
      batch.views.push_back(whole.narrow(0, first, count));
    }
  }
  return batch;
}

// Random crops in whole batches.
class CropSource final : public BatchSource {
 public:
  CropSource(const Dino& dino, int64_t samples) : dino_(dino), samples_(samples) {}
  EpochPlan epoch_plan() const override {
    return {.samples = samples_, .step = kBatch, .batch = kBatch};
  }
  void seek(int64_t epoch, int64_t batch) override { at_ = epoch * batches_per_epoch() + batch; }
  Batch next() override { return crops(dino_, at_++, 0, kBatch); }

 private:
  const Dino& dino_;
  int64_t samples_, at_ = 0;
};

void make_steps(Dino& dino, Stepper& stepper, int64_t from, int64_t to, int64_t micro = kBatch) {
  for (int64_t step = from; step < to; ++step) {
    int64_t first = 0;
    const StepOutcome outcome = stepper.step(info_of(step), kBatch, [&] {
      first += micro;
      return crops(dino, step, first - micro, micro);
    });
    REQUIRE(!outcome.skipped);
  }
}

// Student, teacher and center after three steps in micro-batches of `micro`.
NamedTensors after_three_steps(int64_t micro, OptimizerKind optimizer) {
  RunOptions run = small_run();
  run.train.micro_batch = micro;
  run.optimizer.name = optimizer;
  run.optimizer.base_lr = optimizer == OptimizerKind::sgd ? 0.05 : 1e-3;
  run.optimizer.eps = 1e-4;  // Adam then doesn't turn the rounding of a zero gradient into a step
  const auto dino = build(small_dino(), run);
  Stepper stepper(*dino, run);
  make_steps(*dino, stepper, 0, 3, micro);
  return named_tensors(*dino);
}

double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a) {
    largest = std::max(largest, (tensor - b.at(name)).abs().max().item<double>());
  }
  return largest;
}

}  // namespace

TEST_CASE("dino: accumulation ends with the large batch's student, teacher and center") {
  const auto optimizer = GENERATE(OptimizerKind::sgd, OptimizerKind::adamw);
  const NamedTensors whole = after_three_steps(kBatch, optimizer);
  CHECK(largest_difference(after_three_steps(2, optimizer), whole) < 2e-6);
  CHECK(largest_difference(after_three_steps(1, optimizer), whole) < 2e-6);
  CHECK(whole.at("center").abs().max().item<double>() > 1e-3);  // it moved
}

TEST_CASE("dino: teacher and center move once per optimizer step") {
  RunOptions run = small_run();
  run.train.micro_batch = 2;
  const auto dino = build(small_dino(), run);
  const at::Tensor first = dino->teacher().head->weight_v.clone();
  const at::Tensor mean = [&] {
    const torch::NoGradGuard no_grad;
    auto views = crops(*dino, 0, 0, kBatch).views;
    views.resize(2);
    for (auto& view : views) view = normalize(view, run.normalize, torch::kCPU);
    return dino->teacher()
        .head->forward(multi_crop_features(*dino->teacher().backbone, views))
        .mean(0, true);
  }();
  Stepper stepper(*dino, run);
  make_steps(*dino, stepper, 0, 1, 2);
  const at::Tensor student = dino->student().head->weight_v;
  CHECK(torch::allclose(dino->teacher().head->weight_v, 0.9 * first + 0.1 * student, 1e-5, 1e-6));
  CHECK(torch::allclose(dino->named_buffers()["center"], 0.1 * mean, 1e-4, 1e-6));
}

TEST_CASE("dino: a skipped step leaves nothing behind") {
  const auto run = small_run();
  const auto after = [&](bool with_bad_step) {
    const auto dino = build(small_dino(), run);
    Stepper stepper(*dino, run);
    if (with_bad_step) {
      const StepOutcome outcome = stepper.step(info_of(0), kBatch, [&] {
        Batch batch = crops(*dino, 7, 0, kBatch);
        for (auto& view : batch.views) view = view.to(torch::kFloat32);
        batch.views.back().fill_(std::numeric_limits<float>::infinity());
        return batch;
      });
      REQUIRE(outcome.skipped);
    }
    make_steps(*dino, stepper, 0, 2);
    return named_tensors(*dino);
  };
  CHECK(largest_difference(after(true), after(false)) == 0);
}

TEST_CASE("dino: the prototypes are left alone while they are frozen") {
  DinoOptions options = small_dino();
  options.dino.freeze_last_layer = 1;  // two steps
  options.dino.head.norm_last_layer = GENERATE(true, false);
  const auto dino = build(options, small_run());
  const at::Tensor first = dino->student().head->weight_v.detach().clone();
  const at::Tensor other = dino->student().backbone->cls_token.detach().clone();
  Stepper stepper(*dino, small_run());
  make_steps(*dino, stepper, 0, 2);
  CHECK(!dino->student().head->weight_v.grad().defined());
  CHECK(torch::equal(dino->student().head->weight_v, first));
  CHECK(!torch::equal(dino->student().backbone->cls_token, other));
  CHECK(!stepper.optimizer().state().contains("step.student.head.last_layer.weight_v"));
  make_steps(*dino, stepper, 2, 3);
  CHECK(!torch::equal(dino->student().head->weight_v, first));
  CHECK(dino->student().head->weight_g.requires_grad() != options.dino.head.norm_last_layer);
}

TEST_CASE("dino: a run that goes on from a checkpoint ends with the same weights") {
  RunOptions run = small_run();
  run.model.drop_path = 0.3;  // drawn anew
  const auto whole = build(small_dino(), run);
  Stepper whole_stepper(*whole, run);
  make_steps(*whole, whole_stepper, 0, 4);

  const TempFolder folder;
  {
    const auto dino = build(small_dino(), run);
    Stepper stepper(*dino, run);
    make_steps(*dino, stepper, 0, 2);
    save_checkpoint(folder.path(), 2, collect(*dino, stepper));
  }
  torch::manual_seed(77);
  const auto resumed = std::make_shared<Dino>(small_dino(), run);
  resumed->train();
  Stepper stepper(*resumed, run);
  std::vector<std::string> warnings;
  restore(load_latest(folder.path(), warnings), *resumed, stepper);
  make_steps(*resumed, stepper, 2, 4);
  CHECK(largest_difference(named_tensors(*resumed), named_tensors(*whole)) == 0);
}

TEST_CASE("dino: only the student drops paths, only it is trained") {
  RunOptions run = small_run();
  run.model.drop_path = 0.2;
  const auto dino = build(small_dino(), run);
  CHECK(dino->student().backbone->blocks().back()->drop_path_rate() == Approx(0.2));
  CHECK(dino->teacher().backbone->blocks().back()->drop_path_rate() == 0);
  for (const auto& parameter : dino->teacher().parameters()) CHECK(!parameter.requires_grad());
  CHECK(dino->backbone() == dino->teacher().backbone);
}

TEST_CASE("dino: crops of one size go through the network together") {
  const auto dino = build(small_dino(), small_run());
  const torch::NoGradGuard no_grad;
  const auto views = [&] {
    std::vector<at::Tensor> all;
    for (const int64_t side : {16, 16, 8, 8, 16}) all.push_back(torch::randn({2, 3, side, side}));
    return all;
  }();
  Vit& vit = *dino->backbone();
  const at::Tensor features = multi_crop_features(vit, views);
  for (size_t i = 0; i < views.size(); ++i) {
    const at::Tensor whole = vit.pool(vit.forward_features(views[i]));
    CHECK(torch::allclose(features.narrow(0, 2 * static_cast<int64_t>(i), 2), whole, 1e-5, 1e-5));
  }
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
  RunOptions run = small_run();
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

TEST_CASE("dino: what shows a collapse does not depend on how the batch is cut") {
  const auto shown = [](int64_t micro) {
    RunOptions run = small_run();
    run.train.micro_batch = micro;
    DinoOptions options = small_dino();
    options.dino.teacher_temp = options.dino.warmup_teacher_temp = 0.01;  // sharp: rows differ
    const auto dino = build(options, run);
    Stepper stepper(*dino, run);
    int64_t first = 0;
    return stepper.step(info_of(0), kBatch, [&] {
      first += micro;
      return crops(*dino, 0, first - micro, micro);
    });
  };
  const auto whole = shown(kBatch).averages.means();
  for (const int64_t micro : {1, 2, 4}) {
    const auto means = shown(micro).averages.means();
    REQUIRE(means.size() == whole.size());
    for (size_t i = 0; i < means.size(); ++i) {
      INFO(micro << " " << means[i].first);
      CHECK(means[i].first == whole[i].first);
      CHECK(means[i].second == Approx(whole[i].second).epsilon(1e-3).margin(1e-5));
    }
  }
}

TEST_CASE("dino: a collapse is warned of in the log and the report, and every line has the rank") {
  const TempFolder folder;
  RunOptions run = small_run();
  run.train.epochs = 3;
  run.output.log_steps = 2;
  DinoOptions options = small_dino();
  options.dino.teacher_temp = options.dino.warmup_teacher_temp = 1e3;  // targets are uniform
  const auto dino = build(options, run);
  CropSource source(*dino, 3 * kBatch);
  REQUIRE(train(*dino, source, run, folder.path(), /*resume=*/false) == 0);
  std::istringstream lines(read_whole_file(folder.path() + "/metrics.jsonl"));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    INFO(line);
    const auto values = nlohmann::json::parse(line);
    CHECK(values.contains("feature_rank"));
    CHECK(values.at("teacher_entropy") == Approx(std::log(40.0)).epsilon(1e-3));
  }
  CHECK(count == 6);  // after steps 2 and 3 of each epoch
  CHECK_THAT(read_whole_file(folder.path() + "/log.txt"),
             ContainsSubstring("warning: step 2: uniform collapse"));
  CHECK_THAT(read_whole_file(folder.path() + "/report.html"),
             ContainsSubstring("uniform collapse: teacher entropy at ln K"));
}

TEST_CASE("a head that would be ignored, or depend on micro-batches, is refused") {
  DinoHeadOptions head{.use_bn = true};
  TrainOptions train{.batch = 8};
  CHECK_NOTHROW(check_head("dino", head, train));
  train.micro_batch = 4;
  CHECK_THROWS_WITH(check_head("ibot", head, train),
                    ContainsSubstring("ibot.head.use_bn: its statistics need the whole batch"));
  train.micro_batch = 0;
  head.layers = 1;
  CHECK_THROWS_WITH(check_head("dino", head, train),
                    ContainsSubstring("dino.head.use_bn: a head of one layer has nothing to"));
  head.use_bn = false;
  CHECK_NOTHROW(check_head("dino", head, train));
  RunOptions run = small_run();
  run.train.micro_batch = 2;
  DinoOptions options = small_dino();
  options.dino.head.use_bn = true;
  CHECK_THROWS_WITH(Dino(options, run), ContainsSubstring("dino.head.use_bn"));
}

TEST_CASE("dino: a collapse is named after the warm-up only") {
  const auto dino = build(small_dino(), small_run());
  const std::map<std::string, double> uniform = {{"teacher_entropy", std::log(40.0)}};
  CHECK(dino->diagnose(uniform, info_of(0)).empty());
  CHECK_THAT(dino->diagnose(uniform, info_of(1)), ContainsSubstring("uniform collapse"));
}

TEST_CASE("dino: bfloat16 trains as float32 does") {
  const auto loss = [](Precision precision) {
    RunOptions run = small_run();
    run.train.precision = precision;
    run.optimizer.base_lr = 1e-3;  // the loss is still near ln K
    const auto dino = build(small_dino(), run);
    Stepper stepper(*dino, run);
    double last = 0;
    for (int64_t step = 0; step < 4; ++step) {
      last = stepper.step(info_of(step), kBatch, [&] { return crops(*dino, 0, 0, kBatch); }).loss;
    }
    return last;
  };
  CHECK(loss(Precision::bf16) == Approx(loss(Precision::fp32)).epsilon(0.02));
}
