#include "support/tiny_run.h"

#include <ATen/CPUGeneratorImpl.h>

#include "random.h"

namespace previt::test {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int64_t kSide = 8;
constexpr int64_t kWidth = 12;

VitOptions tiny_vit() {
  VitOptions options;
  options.arch = "vit_tiny";
  options.embed_dim = kWidth;
  options.depth = 1;
  options.num_heads = 2;
  options.image_size = {kSide};
  options.patch_size = 4;
  return options;
}

}  // namespace

MemorySource::MemorySource(int64_t samples, int64_t batch, int64_t step)
    : plan_{.samples = samples,
            .step = step > 0 ? step : batch,
            .batch = batch,
            .drop_last = step > 0} {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(kSeed);
  images_ = torch::randint(0, 256, {samples, 3, kSide, kSide}, generator, torch::kUInt8);
  labels_ = torch::arange(samples) % 3;
}

void MemorySource::seek(int64_t epoch, int64_t batch) {
  epoch_ = epoch;
  batch_ = batch;
}

Batch MemorySource::next() {
  if (before_next) before_next();
  Random stream(kSeed, Stream::sample_order, {static_cast<uint64_t>(epoch_)});
  const auto order = torch::tensor(random_permutation(samples_per_epoch(), stream));
  const int64_t first = batch_ * plan_.batch;
  Batch batch;
  batch.indices = order.slice(0, first, first + plan_.images_in_batch(batch_));
  batch.views = {images_.index_select(0, batch.indices)};
  batch.labels = labels_.index_select(0, batch.indices);
  batch.epoch = epoch_;
  if (++batch_ == batches_per_epoch()) seek(epoch_ + 1, 0);
  return batch;
}

TinyObjective::TinyObjective(bool noise) : noise_(noise) {
  torch::manual_seed(7);
  vit = register_module("vit", std::make_shared<Vit>(tiny_vit()));
  weight = register_parameter("weight", torch::randn({5, kWidth}));
  moves = register_buffer("moves", torch::zeros({}));
}

std::vector<ViewSpec> TinyObjective::views() const {
  ViewSpec view;
  view.height = view.width = kSide;
  return {view};
}

StepResult TinyObjective::step(const Batch& batch, const StepInfo& info) {
  at::Tensor features = vit->pooled(batch.views.at(0)).to(torch::kFloat32);
  if (noise_) features = features + 0.1 * torch::randn_like(features);
  at::Tensor loss = (torch::matmul(features, weight.t()) - 1).square().mean();
  if (change_loss) loss = change_loss(loss, info);
  return {loss, {{"feature_mean", features.mean()}}, weight_of(info)};
}

RunOptions tiny_options() {
  RunOptions options;
  options.train.epochs = 3;
  options.train.batch = 8;
  options.train.precision = Precision::fp32;
  options.schedule.kind = ScheduleKind::constant;
  options.schedule.warmup_epochs = 0;
  options.optimizer.base_lr = 0.01;
  options.optimizer.base_batch = 0;
  options.output.log_steps = 2;
  return options;
}

std::vector<at::Tensor> snapshot(const torch::nn::Module& module) {
  std::vector<at::Tensor> copies;
  for (const auto& tensor : module.parameters()) copies.push_back(tensor.detach().clone());
  for (const auto& tensor : module.buffers()) copies.push_back(tensor.detach().clone());
  return copies;
}

bool same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return torch::equal(x, y);
  });
}

}  // namespace previt::test
