#include "models/tokenizers/kmeans.h"

#include <torch/types.h>

#include <algorithm>

#include "models/layers/unit_length.h"

namespace previt {
namespace {

constexpr int64_t kSimilarities = int64_t{1} << 25;  // held at a time: 128 MiB

}  // namespace

at::Tensor nearest_center(const at::Tensor& rows, const at::Tensor& centers, bool cosine) {
  const at::Tensor transposed = centers.t();
  const at::Tensor half_squares =
      cosine ? at::Tensor() : 0.5 * centers.square().sum(1, /*keepdim=*/true).t();
  const int64_t part = std::max<int64_t>(1, kSimilarities / centers.size(0));
  std::vector<at::Tensor> ids;
  for (int64_t first = 0; first < rows.size(0); first += part) {
    at::Tensor similarities = rows.slice(0, first, first + part).mm(transposed);
    // ‖z - c‖² = ‖z‖² - 2 (z·c - ½ ‖c‖²): for the nearest center, the bracket is largest.
    if (!cosine) similarities = similarities.sub_(half_squares);
    ids.push_back(similarities.argmax(1));
  }
  return ids.size() == 1 ? ids.front() : torch::cat(ids);
}

at::Tensor counts_of(const at::Tensor& ids, int64_t kinds) {
  return torch::zeros({kinds}, ids.options())
      .index_add_(0, ids, torch::ones_like(ids))
      .to(torch::kFloat32);
}

ClusterSums cluster_sums(const at::Tensor& rows, const at::Tensor& ids, int64_t centers) {
  return {torch::zeros({centers, rows.size(1)}, rows.options()).index_add_(0, ids, rows),
          counts_of(ids, centers)};
}

Clusters kmeans(const at::Tensor& rows, at::Tensor means, int64_t iterations, bool cosine) {
  at::Tensor counts;
  for (int64_t i = 0; i < iterations; ++i) {
    const ClusterSums found =
        cluster_sums(rows, nearest_center(rows, means, cosine), means.size(0));
    counts = found.counts;
    at::Tensor moved = found.sums / counts.clamp_min(1).unsqueeze(1);
    if (cosine) moved = unit_length(moved);
    means = torch::where((counts == 0).unsqueeze(1), means, moved);
  }
  return {means, counts};
}

}  // namespace previt
