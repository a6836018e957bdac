#include "support/tiny_run.h"

#include <unistd.h>

#include <atomic>

#include "random.h"

namespace previt::test {

TemporaryFolder::TemporaryFolder() {
  static std::atomic<int> counter = 0;
  path_ = std::filesystem::temp_directory_path() /
          fmt::format("previt_test_{}_{}", getpid(), counter++);
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

MemorySource::MemorySource(int64_t samples, int64_t batch, int64_t side, uint64_t seed)
    : batch_size_(batch), seed_(seed) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  images_ = torch::randint(0, 256, {samples, 3, side, side}, generator, torch::kUInt8);
  labels_ = torch::arange(samples) % 3;
}

int64_t MemorySource::batches_per_epoch() const {
  return (samples_per_epoch() + batch_size_ - 1) / batch_size_;
}

void MemorySource::seek(int64_t epoch, int64_t batch) {
  epoch_ = epoch;
  batch_ = batch;
}

Batch MemorySource::next() {
  if (before_next) before_next();
  Random stream(seed_, {static_cast<uint64_t>(epoch_)});
  const auto order = torch::tensor(random_permutation(samples_per_epoch(), stream));
  const int64_t first = batch_ * batch_size_;
  Batch batch;
  batch.indices = order.slice(0, first, first + batch_size_);
  batch.views = {images_.index_select(0, batch.indices)};
  batch.labels = labels_.index_select(0, batch.indices);
  batch.epoch = epoch_;
  if (++batch_ == batches_per_epoch()) seek(epoch_ + 1, 0);
  return batch;
}

TinyObjective::TinyObjective(bool noise, int64_t side) : noise_(noise) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  const int64_t pixels = 3 * side * side;
  weight = register_parameter("weight", 0.1 * torch::randn({5, pixels}, generator, torch::kFloat));
  bias = register_parameter("bias", torch::zeros({5}));
  target = register_buffer("target", torch::randn({5}, generator, torch::kFloat));
  moves = register_buffer("moves", torch::zeros({}));
}

std::vector<ViewSpec> TinyObjective::views() const {
  return {ViewSpec{.height = 4, .width = 4, .crop = "none"}};
}

StepResult TinyObjective::step(const Batch& batch, const StepInfo& info) {
  at::Tensor features = batch.views.at(0).flatten(1);
  if (noise_) features = features + 0.1 * torch::randn_like(features);
  const at::Tensor predicted = torch::matmul(features, weight.t()) + bias;
  at::Tensor loss = (predicted - target).square().mean();
  if (change_loss) loss = change_loss(loss, info);
  return {loss, {{"mean", predicted.mean()}}};
}

RunOptions tiny_options() {
  RunOptions options;
  options.train.epochs = 3;
  options.train.batch = 8;
  options.train.precision = "fp32";
  options.schedule.kind = "constant";
  options.schedule.warmup_epochs = 0;
  options.optimizer.base_lr = 0.01;
  options.optimizer.base_batch = 0;
  options.output.log_steps = 2;
  return options;
}

}  // namespace previt::test
