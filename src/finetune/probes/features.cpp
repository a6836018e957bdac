#include "finetune/probes/features.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <chrono>

#include "clocks.h"
#include "error.h"
#include "models/kernels/precision.h"
#include "progress.h"

namespace previt {
namespace {

at::Tensor mean_patch(const Vit& vit, const at::Tensor& tokens) {
  return tokens.slice(1, vit.num_prefix_tokens()).to(torch::kFloat32).mean(1);
}

at::Tensor block_features(const Vit& vit, const at::Tensor& tokens, FeatureTokens which) {
  if (which == FeatureTokens::mean) return mean_patch(vit, tokens);
  const at::Tensor cls = tokens.select(1, 0).to(torch::kFloat32);
  if (which == FeatureTokens::cls) return cls;
  return torch::stack({cls, mean_patch(vit, tokens)}, -1).flatten(1);
}

// A tensor with a row for each sample, filled batch by batch.
class Rows {
 public:
  explicit Rows(int64_t samples) : samples_(samples) {}

  void add(const at::Tensor& rows) {
    if (!all_.defined()) {
      std::vector<int64_t> shape = rows.sizes().vec();
      shape[0] = samples_;
      all_ = torch::empty(shape, rows.options());
    }
    all_.narrow(0, filled_, rows.size(0)).copy_(rows);
    filled_ += rows.size(0);
  }
  at::Tensor filled() const { return all_.defined() ? all_.narrow(0, 0, filled_) : all_; }
  int64_t count() const { return filled_; }

 private:
  int64_t samples_, filled_ = 0;
  at::Tensor all_;
};

}  // namespace

void visit(FieldVisitor& v, FeatureOptions& o) {
  v.field("tokens", o.tokens, "which tokens stand for an image");
  v.field("blocks", o.blocks, "of each of the last n blocks", at_least(1));
  v.field("normed", o.normed, "through the final norm");
}

at::Tensor features_of(Vit& vit, const at::Tensor& images, const FeatureOptions& options) {
  const VitOptions& model = vit.options();
  if (options.tokens == FeatureTokens::pooled) return vit.pooled(images).to(torch::kFloat32);
  const bool of_cls =
      options.tokens == FeatureTokens::cls || options.tokens == FeatureTokens::cls_mean;
  if (of_cls && !model.cls_token) {
    fail_usage("{} features: the model has no class token", name_of(options.tokens));
  }
  if (options.blocks > model.depth) {
    fail_usage("features of {} blocks: the model has {}", options.blocks, model.depth);
  }
  if (options.tokens == FeatureTokens::patches) {
    return vit.intermediate(images, 1, options.normed)
        .front()
        .slice(1, vit.num_prefix_tokens())
        .to(torch::kFloat32);
  }
  std::vector<at::Tensor> parts;
  for (const at::Tensor& tokens : vit.intermediate(images, options.blocks, options.normed)) {
    parts.push_back(block_features(vit, tokens, options.tokens));
  }
  return torch::cat(parts, 1);
}

at::Tensor first_seen_rows(const at::Tensor& indices, at::Tensor& seen) {
  std::vector<int64_t> rows;
  auto known = seen.accessor<bool, 1>();
  const auto samples = indices.accessor<int64_t, 1>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    if (!known[samples[i]]) rows.push_back(i);
    known[samples[i]] = true;
  }
  return torch::tensor(rows, torch::kInt64);
}

Features extract_features(Vit& vit,
                          BatchSource& source,
                          const FeatureOptions& options,
                          const FeatureReading& reading) {
  const torch::NoGradGuard no_grad;
  const ComputeTypeGuard compute(reading.type);
  const at::Device device = vit.parameters().front().device();
  const int64_t samples = source.samples_per_epoch();
  vit.eval();

  Rows values(samples), labels(samples), indices(samples);
  at::Tensor seen = torch::zeros({samples}, torch::kBool);
  Progress progress;
  const auto start = std::chrono::steady_clock::now();
  const Part batches = reading.batches.value_or(Part{0, source.batches_per_epoch()});
  source.seek(reading.epoch, batches.first);
  for (int64_t i = batches.first; i < batches.end; ++i) {
    const Batch batch = source.next();
    const at::Tensor rows = first_seen_rows(batch.indices, seen);
    const at::Tensor images = normalize(batch.views.at(0), reading.normalize, device);
    values.add(features_of(vit, images, options).cpu().index_select(0, rows));
    labels.add(batch.labels.index_select(0, rows));
    indices.add(batch.indices.index_select(0, rows));
    progress.update(
        {.step = values.count(),
         .total_steps = samples,
         .images_per_second = static_cast<double>(values.count()) / seconds_since(start),
         .task = reading.task});
  }
  require(values.count() > 0, "{}: no image could be read", reading.task);
  return {values.filled(), labels.filled(), indices.filled()};
}

}  // namespace previt
