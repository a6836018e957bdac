#include "finetune/evaluation.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "across_ranks.h"
#include "error.h"
#include "models/kernels/precision.h"

namespace previt {
namespace {

constexpr size_t kMostExamples = 12;

// Rows of the batch whose sample was not seen before.
at::Tensor first_seen(const at::Tensor& indices, std::unordered_set<int64_t>& seen) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < indices.numel(); ++i) {
    if (seen.insert(indices[i].item<int64_t>()).second) rows.push_back(i);
  }
  return torch::tensor(rows, torch::kInt64);
}

bool surer(const Example& a, const Example& b) { return a.confidence > b.confidence; }

// The examples that the report shows. Only these stay in memory, whatever the number of images.
class Gallery {
 public:
  // pixels uint8 [B, 3, H, W], probabilities [B, C], labels [B], all on the CPU.
  void add(const at::Tensor& pixels, const at::Tensor& probabilities, const at::Tensor& labels) {
    const auto [confidence, answers] = probabilities.max(1);
    for (int64_t i = 0; i < labels.size(0); ++i) {
      Example example{.pixels = pixels[i].permute({1, 2, 0}).contiguous(),
                      .label = labels[i].item<int64_t>(),
                      .answer = answers[i].item<int64_t>(),
                      .confidence = confidence[i].item<double>()};
      if (example.label < 0) continue;
      example.answer == example.label ? keep_right(std::move(example))
                                      : keep_wrong(std::move(example));
    }
  }

  std::vector<Example> right, wrong;

 private:
  void keep_right(Example example) {
    const auto same = std::find_if(right.begin(), right.end(), [&](const Example& other) {
      return other.label == example.label;
    });
    if (same != right.end()) {
      if (surer(example, *same)) *same = std::move(example);
    } else if (right.size() < kMostExamples) {
      right.push_back(std::move(example));
    }
  }

  void keep_wrong(Example example) {
    const auto place = std::upper_bound(wrong.begin(), wrong.end(), example, surer);
    wrong.insert(place, std::move(example));
    if (wrong.size() > kMostExamples) wrong.pop_back();
  }
};

}  // namespace

Evaluation evaluate(Vit& vit,
                    BatchSource& source,
                    const NormalizeOptions& normalize_options,
                    at::ScalarType type) {
  const torch::NoGradGuard no_grad;
  const ComputeTypeGuard compute(type);
  const at::Device device = vit.parameters().front().device();
  const bool was_training = vit.is_training();
  vit.eval();

  Scores scores(vit.options().num_classes);
  Gallery gallery;
  std::unordered_set<int64_t> seen;
  source.seek(0, 0);
  for (int64_t i = 0; i < source.batches_per_epoch(); ++i) {
    const Batch batch = source.next();
    const at::Tensor rows = first_seen(batch.indices, seen);
    const at::Tensor pixels = batch.views.at(0);
    const at::Tensor logits =
        vit.forward(normalize(pixels, normalize_options, device)).to(torch::kFloat32).cpu();
    const at::Tensor kept = logits.index_select(0, rows),
                     labels = batch.labels.index_select(0, rows);
    scores.add(kept, labels);
    gallery.add(pixels.index_select(0, rows), kept.softmax(1), labels);
  }
  vit.train(was_training);
  return {.scores = std::move(scores),
          .right = std::move(gallery.right),
          .wrong = std::move(gallery.wrong),
          .unreadable = source.samples_per_epoch() - static_cast<int64_t>(seen.size())};
}

void Evaluation::add_ranks(Communicator& all) {
  scores.add_ranks(all);
  unreadable = total(unreadable, all);
}

nlohmann::ordered_json Evaluation::json() const {
  nlohmann::ordered_json result = scores.json();
  if (unreadable > 0) result["unreadable"] = unreadable;
  return result;
}

}  // namespace previt
