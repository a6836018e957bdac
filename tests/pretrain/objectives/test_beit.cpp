#include "models/weights/weights.h"
#include "pretrain/losses/masked_words.h"
#include "pretrain/objectives/beit.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/given_tokenizer.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

constexpr int64_t kBatch = 8, kSide = 24, kPatch = 4, kGrid = 6, kWords = 16;

RunOptions small_run() {
  RunOptions run;
  BeitOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 3;
  run.model.num_heads = 2;
  run.model.image_size = {kSide};
  run.model.patch_size = kPatch;
  run.model.drop_path = 0;
  run.optimizer.base_lr = 1e-3;
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = kBatch;
  run.train.precision = Precision::fp32;
  return run;
}

BeitOptions small_beit(int64_t cls_layers = 0) {
  BeitOptions options;
  options.beit.masked_patches = 13;
  options.beit.block.min_patches = 9;
  options.beit.cls_head.layers = cls_layers;
  options.beit.cls_head.early_layers = 1;
  return options;
}

std::shared_ptr<Beit> build(const BeitOptions& options, const RunOptions& run) {
  torch::manual_seed(5);
  auto beit = std::make_shared<Beit>(
      options, run, std::make_shared<test::RedTokenizer>(2 * kGrid, kGrid, kWords));
  beit->train();
  return beit;
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4};
}

// Rows [first, first + count) of the images of a step.
Batch pictures(const Beit& beit, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  Batch batch;
  for (const auto& view : beit.views()) {
    batch.views.push_back(torch::randint(256, {kBatch, 3, view.height, view.width}, torch::kUInt8)
                              .narrow(0, first, count));
  }
  batch.indices = torch::arange(kBatch).narrow(0, first, count) + 31 * step;
  return batch;
}

void make_steps(Beit& beit, Stepper& stepper, int64_t from, int64_t to, int64_t micro = kBatch) {
  for (int64_t step = from; step < to; ++step) {
    int64_t first = 0;
    const StepOutcome outcome = stepper.step(info_of(step), kBatch, [&] {
      first += micro;
      return pictures(beit, step, first - micro, micro);
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

TEST_CASE("beit: the tokenizer sees the same crop at its own size, or the model's picture") {
  const auto beit = build(small_beit(), small_run());
  const auto views = beit->views();
  REQUIRE(views.size() == 2);
  CHECK(views[1].same_crop_as == views[0].name);
  CHECK(views[1].height == 2 * kGrid);
  CHECK(views[1].interpolation == Interpolation::lanczos);
  CHECK(views[1].jitter == views[0].jitter);

  RunOptions run = small_run();
  run.normalize = {.mean = {0.5, 0.4, 0.3}, .std = {0.2, 0.3, 0.4}};
  const auto normalising = build(small_beit(), run);
  const at::Tensor picture = torch::randint(256, {1, 3, 2 * kGrid, 2 * kGrid}, torch::kUInt8);
  Batch batch;
  batch.views = {at::Tensor(), normalize(picture, run.normalize, torch::kCPU)};
  const at::Tensor red =
      picture.select(1, 0).slice(1, 0, {}, 2).slice(2, 0, {}, 2).to(torch::kInt64);
  CHECK(torch::equal(normalising->words_of(batch), red.remainder(kWords).flatten(1)));

  BeitOptions options = small_beit();
  options.beit.tokenizer_interpolation = options.augment.interpolation;
  const Beit one(options, run, std::make_shared<test::RedTokenizer>(kSide, kGrid, kWords));
  CHECK(one.views().size() == 1);
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

TEST_CASE("beit: a tokenizer that doesn't fit is refused") {
  const auto refuses = [](BeitOptions options, const std::string& why) {
    CHECK_THROWS_WITH(Beit(options, small_run()), ContainsSubstring(why));
  };
  BeitOptions options = small_beit();
  refuses(options, "beit.tokenizer: give a run of train_tokenizer");
  options.beit.tokenizer = "colors:many";
  refuses(options, "beit.tokenizer: colors:many");
  CHECK_THROWS_WITH(
      Beit(small_beit(), small_run(), std::make_shared<test::RedTokenizer>(8, 4, kWords)),
      ContainsSubstring("4 x 4 words of an image, the model has 6 x 6 patches"));
  options.beit.tokenizer = "colors:64";
  options.beit.masked_patches = 75;
  refuses(options, "beit.masked_patches: 75 of 36 patches");
  options = small_beit(2);
  options.beit.tokenizer = "colors:64";
  options.beit.cls_head.early_layers = 3;
  refuses(options, "beit.cls_head.early_layers");
}

TEST_CASE("beit: previews show the words, and a tokenizer that says nothing is named") {
  const auto beit = build(small_beit(), small_run());
  Batch batch = pictures(*beit, 0, 0, 2);
  for (auto& view : batch.views) view = normalize(view, NormalizeOptions{}, torch::kCPU);
  const auto shown = beit->previews(batch, NormalizeOptions{});
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].pixels.scalar_type() == torch::kUInt8);
  CHECK_THAT(shown[0].caption, ContainsSubstring("% of them are right"));
  CHECK(top_word_share(torch::tensor({3, 3, 1, 3}), 5).item<double>() == 0.75);
  CHECK(beit->diagnose({{"top_word", 0.5}}, info_of(0)).empty());
  const std::string said = beit->diagnose({{"top_word", 0.9}}, info_of(0));
  CHECK_THAT(said, ContainsSubstring("90% of the masked"));
}

TEST_CASE("beit: words that the visible patches tell are learnt") {
  RunOptions run = small_run();
  run.model.layer_scale = 0;
  run.optimizer.base_lr = 5e-3;
  BeitOptions options = small_beit();
  options.beit.tokenizer = "colors:27";
  const auto beit = std::make_shared<Beit>(options, run);
  Stepper stepper(*beit, run);
  double first = 0, last = 0;
  for (int64_t step = 0; step < 120; ++step) {
    Batch batch;
    for (const auto& view : beit->views()) {
      torch::manual_seed(step);  // every picture is of one colour, in both views
      batch.views.push_back(torch::randint(256, {kBatch, 3, 1, 1}, torch::kUInt8)
                                .expand({kBatch, 3, view.height, view.width}));
    }
    batch.indices = torch::arange(kBatch) + step * kBatch;
    last = stepper.step(info_of(step), kBatch, [&] { return batch; }).loss;
    if (step == 0) first = last;
  }
  CHECK(first == Approx(std::log(27.0)).margin(0.2));
  CHECK(last < 0.8 * first);
}
