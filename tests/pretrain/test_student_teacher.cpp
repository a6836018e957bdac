// What DINO, iBOT and DINOv2 have in common: each test runs over all of them.
#include "error.h"
#include "models/layers/block.h"
#include "pretrain/student_teacher.h"
#include "pretrain/train/run_state.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

NamedTensors after_three_steps(const CropMethod& method, int64_t micro, OptimizerKind optimizer) {
  RunOptions run = small_crop_run();
  run.train.micro_batch = micro;
  run.optimizer.name = optimizer;
  run.optimizer.base_lr = optimizer == OptimizerKind::sgd ? 0.05 : 1e-3;
  run.optimizer.eps = 1e-4;  // Adam then doesn't turn the rounding of a zero gradient into a step
  const auto pair = method.build(run);
  Stepper stepper(*pair, run);
  make_steps(*pair, stepper, 0, 3, micro);
  return named_tensors(*pair);
}

std::map<std::string, at::Tensor> prototypes_of(StudentTeacherNetwork& network) {
  std::map<std::string, at::Tensor> found;
  for (const auto& parameter : network.named_parameters()) {
    if (parameter.key().find("last_layer") == std::string::npos) continue;
    found[parameter.key()] = parameter.value();
  }
  return found;
}

}  // namespace

TEST_CASE("student and teacher: accumulation ends with the large batch's weights and centers") {
  const CropMethod method = any_method();
  const auto optimizer = GENERATE(OptimizerKind::sgd, OptimizerKind::adamw);
  INFO(method.name << ", " << name_of(optimizer));
  const NamedTensors whole = after_three_steps(method, kCropBatch, optimizer);
  CHECK(largest_difference(after_three_steps(method, 2, optimizer), whole) < 2e-6);
  CHECK(largest_difference(after_three_steps(method, 1, optimizer), whole) < 2e-6);
  for (const std::string center : {"center", "center2"}) {
    const bool of_no_patch = method.name == "dinov2" && center == "center2";
    if (!whole.contains(center) || of_no_patch) continue;
    CHECK(whole.at(center).abs().max().item<double>() > 1e-3);  // it moved
  }
}

TEST_CASE("student and teacher: the teacher starts as the student, moves once per optimizer step") {
  RunOptions run = small_crop_run();
  run.train.micro_batch = 2;
  const CropMethod method = any_method();
  INFO(method.name);
  const auto pair = method.build(run);
  NamedTensors first;
  for (const auto& [name, tensor] : named_tensors(pair->teacher())) first[name] = tensor.clone();
  CHECK(largest_difference(first, named_tensors(pair->student())) == 0);
  Stepper stepper(*pair, run);
  make_steps(*pair, stepper, 0, 1, 2);
  const NamedTensors student = named_tensors(pair->student());
  for (const auto& [name, tensor] : named_tensors(pair->teacher())) {
    INFO(name);
    const at::Tensor want = 0.9 * first.at(name) + 0.1 * student.at(name);
    CHECK(torch::allclose(tensor, want, 1e-5, 1e-6));
  }
  CHECK(largest_difference(first, student) > 1e-3);
}

TEST_CASE("student and teacher: a skipped step leaves nothing behind") {
  const auto run = small_crop_run();
  const CropMethod method = any_method();
  INFO(method.name);
  const auto after = [&](bool with_bad_step) {
    const auto pair = method.build(run);
    Stepper stepper(*pair, run);
    if (with_bad_step) {
      const StepOutcome outcome = stepper.step(info_of(0), kCropBatch, [&] {
        Batch batch = crops(*pair, 7, 0, kCropBatch);
        for (auto& view : batch.views) view = view.to(torch::kFloat32);
        batch.views.back().fill_(std::numeric_limits<float>::infinity());
        return batch;
      });
      REQUIRE(outcome.skipped);
    }
    make_steps(*pair, stepper, 0, 2);
    return named_tensors(*pair);
  };
  CHECK(largest_difference(after(true), after(false)) == 0);
}

TEST_CASE("student and teacher: prototypes that are frozen to the end are an odd plan") {
  CropMethod method = any_method();
  method.change = [](StudentTeacherOptions& o) { o.freeze_last_layer = 3; };
  const auto pair = method.build(small_crop_run());
  const std::string section = method.section();
  CHECK(pair->odd_plan(4) == "");
  CHECK(pair->odd_plan(3) ==
        section +
            ".freeze_last_layer: 3 of 3 epochs: the last layer is never trained; make it smaller "
            "or train longer");
}

TEST_CASE("student and teacher: the prototypes are left alone while they are frozen") {
  const bool norm_last_layer = GENERATE(true, false);
  RunOptions run = small_crop_run();
  run.optimizer.name = OptimizerKind::adamw;
  CropMethod method = any_method();
  method.change = [&](StudentTeacherOptions& o) {
    o.freeze_last_layer = 1;  // two steps
    o.head.norm_last_layer = norm_last_layer;
  };
  if (method.name == "dinov2") return;  // they have a rate of 0 there (test_dinov2.cpp)
  INFO(method.name);
  const auto pair = method.build(run);
  const auto prototypes = prototypes_of(pair->student());
  CHECK(prototypes.size() == (method.name == "ibot, own" ? 4U : 2U));
  std::map<std::string, at::Tensor> first;
  for (const auto& [name, tensor] : prototypes) first[name] = tensor.detach().clone();
  const at::Tensor other = pair->student().backbone->cls_token.detach().clone();
  Stepper stepper(*pair, run);
  make_steps(*pair, stepper, 0, 2);
  CHECK(!torch::equal(pair->student().backbone->cls_token, other));
  for (const auto& [name, tensor] : prototypes) {
    INFO(name);
    CHECK(!tensor.grad().defined());
    CHECK(torch::equal(tensor, first.at(name)));
    CHECK(!stepper.optimizer().state().contains("step.student." + name));
  }
  make_steps(*pair, stepper, 2, 3);
  for (const auto& [name, tensor] : prototypes) {
    INFO(name);
    const bool trained = name.ends_with("weight_v") || !norm_last_layer;
    CHECK(tensor.requires_grad() == trained);
    CHECK(torch::equal(tensor, first.at(name)) != trained);
    CHECK(stepper.optimizer().state().contains("step.student." + name) == trained);
  }
}

TEST_CASE("student and teacher: a run that goes on from a checkpoint ends with the same weights") {
  RunOptions run = small_crop_run();
  run.model.drop_path = 0.3;  // drawn anew
  const CropMethod method = any_method();
  INFO(method.name);
  const auto whole = method.build(run);
  Stepper whole_stepper(*whole, run);
  make_steps(*whole, whole_stepper, 0, 4);

  const TempFolder folder;
  {
    const auto pair = method.build(run);
    Stepper stepper(*pair, run);
    make_steps(*pair, stepper, 0, 2);
    save_checkpoint(folder.path(), 2, collect(*pair, stepper));
  }
  const auto resumed = method.build(run);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : resumed->parameters()) parameter.add_(1);
  }
  Stepper stepper(*resumed, run);
  std::vector<std::string> warnings;
  restore(load_latest(folder.path(), warnings), *resumed, stepper);
  make_steps(*resumed, stepper, 2, 4);
  CHECK(largest_difference(named_tensors(*resumed), named_tensors(*whole)) == 0);
}

TEST_CASE("student and teacher: only the student drops paths, only it is trained") {
  RunOptions run = small_crop_run();
  run.model.drop_path = 0.2;
  const auto pair = any_method().build(run);
  CHECK(pair->student().backbone->blocks().back()->drop_path_rate() == Approx(0.2));
  CHECK(pair->teacher().backbone->blocks().back()->drop_path_rate() == 0);
  for (const auto& parameter : pair->teacher().parameters()) CHECK(!parameter.requires_grad());
  CHECK(pair->backbone() == pair->teacher().backbone);
}

TEST_CASE("student and teacher: options that a pair can't have are refused by their key") {
  RunOptions run = small_crop_run();
  CropMethod method = any_method();
  const std::string section = method.section();
  DinoHeadOptions head{.use_bn = true};
  int64_t local_crops = 3;
  method.change = [&](StudentTeacherOptions& o) {
    o.head.layers = head.layers;
    o.head.use_bn = head.use_bn;
    o.global_crops = 1;
    o.local_crops = local_crops;
  };
  CHECK_NOTHROW(method.build(run));
  run.train.micro_batch = 4;
  CHECK_THROWS_WITH(method.build(run),
                    ContainsSubstring(section + ".head.use_bn: its statistics need the whole"));
  run.train.micro_batch = 0;
  head.layers = 1;
  CHECK_THROWS_WITH(method.build(run),
                    ContainsSubstring(section + ".head.use_bn: a head of one layer has nothing"));
  head.use_bn = false;
  CHECK_NOTHROW(method.build(run));
  local_crops = 0;
  CHECK_THROWS_WITH(method.build(run), ContainsSubstring(section + ".local_crops: two crops"));
  local_crops = 3;
  run.model.pool = Pooling::avg;
  CHECK_THROWS_WITH(method.build(run), ContainsSubstring("model.pool: " + section + " compares"));
}
