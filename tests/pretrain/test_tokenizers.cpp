#include <csignal>

#include "models/kernels/precision.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "pretrain/objectives/dvae.h"
#include "pretrain/objectives/vqkd.h"
#include "pretrain/objectives/vqvae.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;

namespace {

constexpr int64_t kBatch = 8;
const ConvOptions kNetwork{.width = 16, .blocks = 1};
const CodebookOptions kCodes{.codes = 12, .dim = 6, .decay = 0.9, .kmeans = 4, .revive_below = 0.1};

RunOptions small_run(int64_t side = 16) {
  RunOptions run = test::tiny_options();
  run.model.arch = "vit_tiny";
  run.model.embed_dim = 24;
  run.model.depth = 1;
  run.model.num_heads = 2;
  run.model.image_size = {side};
  run.model.patch_size = 4;
  run.train.batch = kBatch;
  return run;
}

std::shared_ptr<Objective> make_dvae(const RunOptions& run) {
  DvaeOptions options;
  // A weight of the divergence that so short a run can bear: more of it, and no word means
  // anything.
  options.dvae = {.vocabulary = 12,
                  .network = kNetwork,
                  .temperature_epochs = 4,
                  .kl_weight = 0.3,
                  .kl_epochs = 4};
  return std::make_shared<DvaeTraining>(options, run);
}

std::shared_ptr<Objective> make_vqvae(const RunOptions& run) {
  VqvaeOptions options;
  options.vqvae = {.network = kNetwork, .codebook = kCodes};
  options.vqvae.codebook.normalize = false;
  return std::make_shared<VqvaeTraining>(options, run);
}

std::shared_ptr<Objective> make_vqkd(const RunOptions& run) {
  const TempFolder folder;  // the teacher lives on in the objective
  VqkdOptions options;
  options.vqkd = {
      .teacher = test::tiny_checkpoint(folder.path()), .decoder_depth = 1, .codebook = kCodes};
  return std::make_shared<VqkdTraining>(options, run);
}

using Maker = std::shared_ptr<Objective> (*)(const RunOptions&);
const std::map<std::string, Maker> kMakers = {
    {"dvae", make_dvae}, {"vqvae", make_vqvae}, {"vqkd", make_vqkd}};

std::shared_ptr<Objective> build(const std::string& kind, const RunOptions& run) {
  torch::manual_seed(5);
  auto objective = kMakers.at(kind)(run);
  objective->train();
  return objective;
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 60, .steps_per_epoch = 10, .epochs = 6};
}

// Pictures of plain cells in one of six colours, [rows first … first + count) of a step's.
Batch pictures(const RunOptions& run, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  const at::Tensor colours = torch::tensor(
      {{230, 30, 30}, {30, 230, 30}, {30, 30, 230}, {230, 230, 30}, {230, 230, 230}, {20, 20, 20}});
  const int64_t cells = run.model.grid_height();
  const at::Tensor numbers = torch::randint(6, {kBatch, cells, cells}, torch::kInt64);
  Batch batch;
  batch.views = {colours.index({numbers})
                     .permute({0, 3, 1, 2})
                     .repeat_interleave(4, 2)
                     .repeat_interleave(4, 3)
                     .to(torch::kUInt8)
                     .narrow(0, first, count)};
  batch.indices = torch::arange(first, first + count);
  return batch;
}

StepOutcome make_step(Stepper& stepper, const RunOptions& run, int64_t step) {
  int64_t first = 0;
  return stepper.step(info_of(step), kBatch, [&] {
    const int64_t count = run.train.micro();
    first += count;
    return pictures(run, step, first - count, count);
  });
}

double metric(const StepOutcome& outcome, const std::string& name) {
  for (const auto& [key, value] : outcome.averages.means()) {
    if (key == name) return value;
  }
  FAIL(name);
  return 0;
}

NamedTensors after_three_steps(const std::string& kind, int64_t micro) {
  RunOptions run = small_run();
  run.train.micro_batch = micro;
  run.optimizer.name = OptimizerKind::sgd;
  run.optimizer.base_lr = 0.05;
  const auto objective = build(kind, run);
  Stepper stepper(*objective, run);
  for (int64_t step = 0; step < 3; ++step) REQUIRE(!make_step(stepper, run, step).skipped);
  return named_tensors(*objective);
}

int train_run(const std::string& kind,
              const std::string& folder,
              bool resume,
              int64_t stop_at = -1) {
  RunOptions run = small_run(8);
  run.train.micro_batch = 4;
  run.train.ema_decay = 0.9;
  run.output.checkpoint_epochs = 1;
  const auto objective = build(kind, run);
  test::MemorySource source(26, 4, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == stop_at) std::raise(SIGTERM);
  };
  return train(*objective, source, run, folder, resume);
}

Checkpoint latest(const std::string& folder) {
  std::vector<std::string> warnings;
  return load_latest(folder, warnings);
}

void check_same(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    INFO(name);
    CHECK(torch::equal(tensor, b.at(name)));
  }
}

}  // namespace

TEST_CASE("tokenizers learn: their error falls and their words are used") {
  for (const auto& [kind, maker] : kMakers) {
    INFO(kind);
    RunOptions run = small_run();
    run.optimizer.base_lr = 5e-3;
    const auto objective = build(kind, run);
    Stepper stepper(*objective, run);
    const StepOutcome first = make_step(stepper, run, 0);
    StepOutcome last;
    for (int64_t step = 1; step < 200; ++step) last = make_step(stepper, run, step);
    if (kind == "dvae") {  // blurs as much as its words are uncertain: its likelihood tells more
      CHECK(metric(last, "pixel_likelihood") > metric(first, "pixel_likelihood") + 0.4);
    } else {
      CHECK(metric(last, "reconstruction_error") < 0.5 * metric(first, "reconstruction_error"));
    }
    CHECK(metric(last, "code_usage") > 0.3);
    CHECK(metric(last, "code_perplexity") > 2);
  }
}

TEST_CASE("tokenizers: accumulation ends with the large batch's weights and codebook") {
  const std::string kind = GENERATE("vqvae", "vqkd");
  const NamedTensors whole = after_three_steps(kind, kBatch), parts = after_three_steps(kind, 2);
  CHECK(whole.at("tokenizer.quantize.started").item<double>() == 1);
  for (const auto& [name, tensor] : whole) {
    INFO(name);
    CHECK((tensor - parts.at(name)).abs().max().item<double>() < 5e-5);
  }
}

TEST_CASE("a stopped and resumed tokenizer run ends as an undisturbed one, and is a tokenizer") {
  for (const auto& [kind, maker] : kMakers) {
    INFO(kind);
    const TempFolder whole, stopped;
    REQUIRE(train_run(kind, whole.path(), false) == 0);
    CHECK(train_run(kind, stopped.path(), false, 7) == 143);
    CHECK(train_run(kind, stopped.path(), true) == 0);
    const Checkpoint a = latest(whole.path()), b = latest(stopped.path());
    check_same(a.backbone, b.backbone);
    check_same(a.training, b.training);

    const auto tokenizer = load_tokenizer(whole.path());
    const auto from_folder = load_tokenizer(list_checkpoints(whole.path()).front());
    const at::Tensor pixels = torch::rand({4, 3, 8, 8});
    CHECK(torch::equal(tokenizer->tokens(pixels), from_folder->tokens(pixels)));
    CHECK_THROWS_WITH(load_model(whole.path()), ContainsSubstring("is an image tokenizer"));
  }
}

TEST_CASE("a tokenizer's checkpoint gives the words that the run gave") {
  for (const auto& [kind, maker] : kMakers) {
    INFO(kind);
    const RunOptions run = small_run();
    const auto objective = build(kind, run);
    Stepper stepper(*objective, run);
    for (int64_t step = 0; step < 4; ++step) make_step(stepper, run, step);
    const TempFolder folder;
    Checkpoint saved = collect(*objective, stepper);
    saved.backbone_metadata = model_metadata(objective->kept_model().description, {}, {});
    save_checkpoint(folder.path(), 4, saved);
    objective->eval();
    auto own = std::dynamic_pointer_cast<Tokenizer>(objective->kept_model().network);
    REQUIRE(own != nullptr);
    const at::Tensor pixels = pictures(run, 9, 0, 8).views[0].to(torch::kFloat32) / 255;
    CHECK(torch::equal(load_tokenizer(folder.path())->tokens(pixels), own->tokens(pixels)));
  }
}

TEST_CASE("a pixel tokenizer's words don't depend on the precision of a run") {
  for (const std::string kind : {"dvae", "vqvae"}) {
    INFO(kind);
    const RunOptions run = small_run();
    const auto objective = build(kind, run);
    Stepper stepper(*objective, run);
    make_step(stepper, run, 0);
    const auto tokenizer = std::dynamic_pointer_cast<Tokenizer>(objective->kept_model().network);
    const at::Tensor pixels = torch::rand({64, 3, 16, 16});
    const at::Tensor exact = tokenizer->tokens(pixels);
    const ComputeTypeGuard half(torch::kBFloat16);
    CHECK(torch::equal(tokenizer->tokens(pixels), exact));
  }
}

TEST_CASE("tokenizers show the picture, what is drawn from its words, and the words") {
  for (const auto& [kind, maker] : kMakers) {
    INFO(kind);
    const RunOptions run = small_run();
    const auto objective = build(kind, run);
    Stepper stepper(*objective, run);
    make_step(stepper, run, 0);
    const Batch seen = stepper.on_device(pictures(run, 0, 0, 2));
    const auto shown = objective->previews(seen, run.normalize);
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].pixels.scalar_type() == torch::kUInt8);
    const int64_t columns = kind == "vqkd" ? 2 : 3;  // 128 pixels each, and gaps of 4
    CHECK(shown[0].pixels.size(1) == 4 + columns * 132);
  }
}

TEST_CASE("dvae: temperature and KL weight follow half cosines") {
  DvaeOptions options;
  options.dvae.network = kNetwork;
  options.dvae.vocabulary = 12;
  const DvaeTraining dvae(options, small_run());
  const auto at_epoch = [](int64_t epoch) {
    return StepInfo{.step = 10 * epoch, .total_steps = 1000, .steps_per_epoch = 10, .epochs = 100};
  };
  CHECK(dvae.temperature(at_epoch(0)) == 1);
  CHECK(dvae.temperature(at_epoch(30)) == Approx((1 + 1.0 / 16) / 2));
  CHECK(dvae.temperature(at_epoch(15)) == Approx(1.0 / 16 + 15.0 / 16 * (1 + std::sqrt(0.5)) / 2));
  CHECK(dvae.temperature(at_epoch(60)) == 1.0 / 16);
  CHECK(dvae.temperature(at_epoch(99)) == 1.0 / 16);
  // Per cell of 4 x 4 pixels of 3 values: DALL-E's 6.6 / 192 at 8 x 8.
  CHECK(dvae.kl_weight(at_epoch(0)) == 0);
  CHECK(dvae.kl_weight(at_epoch(1)) == Approx(3.3 / 48));
  CHECK(dvae.kl_weight(at_epoch(2)) == Approx(6.6 / 48));
}

TEST_CASE("vqkd: any teacher gives a feature for each of the encoder's patches") {
  const TempFolder folder;
  FeatureTarget teacher(test::tiny_checkpoint(folder.path()));  // 16 pixels in patches of 8
  CHECK(teacher.dim() == 24);
  const at::Tensor features = teacher.features(torch::rand({2, 3, 24, 32}), 6, 8);
  CHECK(features.sizes() == at::IntArrayRef{2, 48, 24});
  CHECK_FALSE(features.requires_grad());
  for (const auto& parameter : teacher.parameters()) CHECK_FALSE(parameter.requires_grad());
}

TEST_CASE(
    "vqkd: distilled and mean-pooled classifiers teach with their patches, through their norm") {
  const TempFolder folder;
  VitOptions options = test::small_vit();
  options.num_classes = 3;
  const bool distilled = GENERATE(true, false);
  options.dist_token = distilled;
  if (!distilled) options.pool = Pooling::avg;
  FeatureTarget teacher(test::tiny_checkpoint(folder.path(), options));
  const at::Tensor features = teacher.features(torch::rand({2, 3, 16, 16}), 2, 2);
  CHECK(features.sizes() == at::IntArrayRef{2, 4, 24});
  CHECK(features.mean(2).abs().max().item<double>() < 1e-5);
  CHECK(features.var(2, /*unbiased=*/false).mean().item<double>() == Approx(1).epsilon(0.02));
}

TEST_CASE("vqkd: the teacher is no part of what is saved, but of what a run goes on with") {
  const auto objective = build("vqkd", small_run());
  for (const auto& item : named_tensors(*objective)) CHECK(item.first.starts_with("tokenizer."));
  CHECK(objective->frozen_parts().at(0).first == "checksum of vqkd.teacher");
}

TEST_CASE("vqkd: the loss is one minus the cosine; without a teacher there is no run") {
  const at::Tensor a = torch::tensor({{{1.0, 0.0}, {0.0, 2.0}}});
  const at::Tensor b = torch::tensor({{{3.0, 0.0}, {1.0, 1.0}}});
  CHECK(cosine_loss(a, b).item<double>() == Approx((1 - std::sqrt(0.5)) / 2));
  CHECK_THROWS_WITH(VqkdTraining({}, small_run()), ContainsSubstring("vqkd.teacher: give"));
}

TEST_CASE("a run whose words are hardly used says so") {
  const auto objective = build("vqvae", small_run());
  CHECK_THAT(objective->diagnose({{"code_usage", 0.05}}, info_of(20)),
             ContainsSubstring("codebook collapse: 5.0% of the words"));
  CHECK(objective->diagnose({{"code_usage", 0.5}}, info_of(20)).empty());
  CHECK(objective->diagnose({{"code_usage", 0.0}}, info_of(1)).empty());
}
