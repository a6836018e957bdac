#include "models/weights/weights.h"
#include "pretrain/train/run_state.h"
#include "support/catch.h"
#include "support/small_beit.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a) {
    largest = std::max(largest, (tensor - b.at(name)).abs().max().item<double>());
  }
  return largest;
}

NamedTensors after_three_steps(int64_t micro) {
  RunOptions run = small_run();
  run.train.micro_batch = micro;
  run.optimizer.name = OptimizerKind::sgd;
  run.optimizer.base_lr = 0.05;
  const auto beit = build(small_beit(2), run);
  Stepper stepper(*beit, run);
  make_steps(*beit, stepper, 0, 3, micro);
  return named_tensors(*beit);
}

}  // namespace

TEST_CASE("beit: accumulation equals the large batch though images differ in masked patches") {
  const auto beit = build(small_beit(), small_run());
  const at::Tensor counts = beit->mask_of(pictures(*beit, 0, 0, kBatch)).sum(1);
  REQUIRE(counts.min().item<int64_t>() < counts.max().item<int64_t>());
  const NamedTensors whole = after_three_steps(kBatch);
  CHECK(largest_difference(after_three_steps(2), whole) < 2e-6);
  CHECK(largest_difference(after_three_steps(1), whole) < 2e-6);
}

TEST_CASE("beit: the head on masked patches gives the rows of the head on all") {
  const auto beit = build(small_beit(), small_run());
  const torch::NoGradGuard no_grad;
  const at::Tensor images = torch::randn({3, 3, kSide, kSide});
  const PatchMask mask(beit->mask_of(pictures(*beit, 0, 0, 3)), torch::kCPU);
  const at::Tensor all = beit->predict_all(beit->encode(images, mask));
  CHECK(torch::allclose(beit->predict(images, mask).main, mask.select(all), 1e-5, 1e-5));
  CHECK(beit->encode(images, mask).sizes().vec() == std::vector<int64_t>{3, 37, 24});
}

TEST_CASE("beit: DropPath drops the same images in chosen rows as in all") {
  RunOptions run = small_run();
  run.model.drop_path = 0.5;
  const auto beit = build(small_beit(), run);
  const torch::NoGradGuard no_grad;
  const at::Tensor images = torch::randn({kBatch, 3, kSide, kSide});
  const PatchMask mask(beit->mask_of(pictures(*beit, 0, 0, kBatch)), torch::kCPU);
  torch::manual_seed(1);
  const at::Tensor chosen = beit->predict(images, mask).main;
  torch::manual_seed(1);
  const at::Tensor all = beit->predict_all(beit->encode(images, mask));
  CHECK(torch::allclose(chosen, mask.select(all), 1e-5, 1e-5));
}

TEST_CASE("beit: what the masked patches show doesn't matter") {
  const auto beit = build(small_beit(), small_run());
  const torch::NoGradGuard no_grad;
  const PatchMask mask(beit->mask_of(pictures(*beit, 0, 0, 2)), torch::kCPU);
  const at::Tensor hidden = mask.masked.view({2, 1, kGrid, kGrid})
                                .repeat_interleave(kPatch, 2)
                                .repeat_interleave(kPatch, 3);
  const at::Tensor images = torch::randn({2, 3, kSide, kSide});
  const at::Tensor others = torch::where(hidden, torch::randn_like(images), images);
  CHECK(torch::equal(beit->predict(images, mask).main, beit->predict(others, mask).main));
}

TEST_CASE("beit: the class token head sees the early patches and the last class token") {
  const auto beit = build(small_beit(2), small_run());
  const at::Tensor images = torch::randn({2, 3, kSide, kSide});
  const PatchMask mask(beit->mask_of(pictures(*beit, 0, 0, 2)), torch::kCPU);
  beit->predict(images, mask).cls.sum().backward();
  const auto parameters = beit->named_parameters();
  const auto reached = [&](const std::string& name) {
    const at::Tensor& gradient = parameters[name].grad();
    return gradient.defined() && gradient.abs().max().item<double>() > 0;
  };
  CHECK(reached("cls_pt_layers.1.mlp.fc2.weight"));
  CHECK(reached("encoder.blocks.0.mlp.fc2.weight"));
  CHECK(reached("encoder.blocks.2.mlp.fc2.weight"));  // through the class token alone
  CHECK(reached("lm_head.weight"));
}

TEST_CASE("beit: a run that goes on from a checkpoint ends with the same weights") {
  RunOptions run = small_run();
  run.model.drop_path = 0.3;  // drawn anew
  const auto whole = build(small_beit(2), run);
  Stepper whole_stepper(*whole, run);
  make_steps(*whole, whole_stepper, 0, 4);

  const TempFolder folder;
  {
    const auto beit = build(small_beit(2), run);
    Stepper stepper(*beit, run);
    make_steps(*beit, stepper, 0, 2);
    save_checkpoint(folder.path(), 2, collect(*beit, stepper));
  }
  const auto resumed = build(small_beit(2), run);
  Stepper stepper(*resumed, run);
  make_steps(*resumed, stepper, 0, 1);  // elsewhere
  std::vector<std::string> warnings;
  restore(load_latest(folder.path(), warnings), *resumed, stepper);
  make_steps(*resumed, stepper, 2, 4);
  CHECK(largest_difference(named_tensors(*resumed), named_tensors(*whole)) == 0);
}

TEST_CASE("beit: starts as the authors do") {
  const auto beit = build(small_beit(2), small_run());
  const auto parameters = beit->named_parameters();
  const auto largest = [&](const std::string& name) {
    return parameters[name].abs().max().item<double>();
  };
  for (const char* name : {"mask_token",
                           "encoder.cls_token",
                           "lm_head.weight",
                           "encoder.patch_embed.proj.weight",
                           "encoder.blocks.1.attn.qkv.weight"}) {
    INFO(name);
    CHECK(largest(name) <= 0.02001);
    CHECK(largest(name) > 0.015);
  }
  CHECK(largest("encoder.blocks.1.mlp.fc2.weight") <= 0.01001);  // √(2 · 2)
  CHECK(largest("encoder.patch_embed.proj.bias") == 0);
  // Extra blocks as the framework's layers, then scaled as blocks 2 and 3.
  CHECK(largest("cls_pt_layers.0.attn.qkv.weight") == Approx(1 / std::sqrt(24.0)).epsilon(0.02));
  CHECK(largest("cls_pt_layers.1.mlp.fc2.weight") ==
        Approx(1 / std::sqrt(96.0) / std::sqrt(6.0)).epsilon(0.02));
  // ln 16 at first, as nothing is known.
  const Batch batch = pictures(*beit, 0, 0, kBatch);
  Stepper stepper(*beit, small_run());
  const StepOutcome outcome = stepper.step(info_of(0), kBatch, [&] { return batch; });
  CHECK(outcome.loss == Approx(2 * std::log(16.0)).margin(0.2));
}

TEST_CASE("beit: the sizes are those of the published models") {
  RunOptions run;
  BeitOptions::set_defaults(run);
  BeitOptions options;
  options.beit.tokenizer = "colors:8192";
  const Beit beit(options, run);
  int64_t numbers = 0;
  for (const auto& parameter : beit.parameters()) numbers += parameter.numel();
  CHECK(numbers == 91965776);
  const auto rules = beit.param_rules();
  CHECK(!rules("encoder.cls_token", torch::zeros({1, 1, 4})).decay);
  CHECK(rules("mask_token", torch::zeros({1, 1, 4})).decay);
  CHECK(rules("encoder.rel_pos_bias.relative_position_bias_table", torch::zeros({4, 4})).decay);
}
