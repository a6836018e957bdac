#include "finetune/probes/knn.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "across_ranks.h"
#include "error.h"
#include "failure.h"
#include "finetune/probes/kernels_nearest.h"
#include "models/layers/unit_length.h"

namespace previt {
namespace {

constexpr int64_t kQueryBlock = 1024, kTrainBlock = 65536;
constexpr int64_t kQueryChunk = 4096;  // queries whose neighbours are held at a time
constexpr int64_t kQueryUnit = 256;    // that ranks don't divide: the kernel's block

void check_search(const at::Tensor& train, const at::Tensor& queries, int64_t k, int64_t excluded) {
  require(train.dim() == 2 && queries.dim() == 2 && train.size(1) == queries.size(1),
          "kNN: features {} and queries {} do not fit together",
          train.sizes().vec(),
          queries.sizes().vec());
  const int64_t found = train.size(0) - (excluded < 0 ? 0 : 1);
  require(k >= 1 && k <= found, "kNN: {} of {} neighbours asked for", k, found);
  // The kernel keeps ids in 32 bits.
  require(train.size(0) <= std::numeric_limits<int32_t>::max(), "kNN: too many features");
}

// The neighbours of one block of queries.
void search_block(const at::Tensor& train,
                  const at::Tensor& queries,
                  int64_t excluded,
                  Neighbours out) {
  const int64_t k = out.ids.size(1);
  at::Tensor values, ids;
  for (int64_t first = 0; first < train.size(0); first += kTrainBlock) {
    const at::Tensor rows = train.slice(0, first, first + kTrainBlock);
    at::Tensor similar = torch::mm(queries, rows.t());
    if (excluded >= 0) {
      const at::Tensor own = torch::arange(
          excluded, excluded + queries.size(0), queries.options().dtype(torch::kLong));
      const at::Tensor columns =
          torch::arange(first, first + rows.size(0), queries.options().dtype(torch::kLong));
      similar.masked_fill_(own.unsqueeze(1) == columns, -INFINITY);
    }
    auto [value, id] = similar.topk(std::min(k, rows.size(0)), 1);
    id = id + first;
    values = values.defined() ? torch::cat({values, value}, 1) : value;
    ids = ids.defined() ? torch::cat({ids, id}, 1) : id;
    if (values.size(1) <= k) continue;
    const auto [kept, columns] = values.topk(k, 1);
    values = kept;
    ids = ids.gather(1, columns);
  }
  out.similarities.copy_(values);
  out.ids.copy_(ids);
}

Neighbours room_for(const at::Tensor& queries, int64_t k) {
  return {.similarities = torch::empty({queries.size(0), k}, queries.options()),
          .ids = torch::empty({queries.size(0), k}, queries.options().dtype(torch::kLong))};
}

// Counts of right answers of one (k, temperature) over all queries.
struct Count {
  int64_t top1 = 0, top5 = 0;

  // votes [Q, C]. The true class's place is the number of classes before it. Among equal votes the
  // smaller class comes first, as in a stable descending sort.
  void add(const at::Tensor& votes, const at::Tensor& labels, int64_t best) {
    const at::Tensor own = votes.gather(1, labels.unsqueeze(1));
    const at::Tensor classes = torch::arange(votes.size(1), labels.options());
    const at::Tensor place =
        ((votes > own) | ((votes == own) & (classes < labels.unsqueeze(1)))).sum(1);
    top1 += (place == 0).sum().item<int64_t>();
    top5 += (place < best).sum().item<int64_t>();
  }
};

void check_features(const LabelledFeatures& features, const char* which) {
  require(features.values.size(0) == features.labels.size(0) && features.values.size(0) > 0,
          "kNN: {} {} features with {} labels",
          features.values.size(0),
          which,
          features.labels.size(0));
  require(features.labels.min().item<int64_t>() >= 0, "kNN: a {} image has no label", which);
  require(torch::isfinite(features.values.sum()).item<bool>(),
          "kNN: a {} feature is not a finite number",
          which);
}

}  // namespace

Neighbours nearest(const at::Tensor& train,
                   const at::Tensor& queries,
                   int64_t k,
                   int64_t excluded) {
  const torch::NoGradGuard no_grad;
  if (!train.device().is_cpu()) return nearest_by_blocks(train, queries, k, excluded);
  check_search(train, queries, k, excluded);
  const Neighbours found = room_for(queries, k);
  nearest_on_cpu(train.contiguous(), queries.contiguous(), excluded, found.similarities, found.ids);
  return found;
}

Neighbours nearest_by_blocks(const at::Tensor& train,
                             const at::Tensor& queries,
                             int64_t k,
                             int64_t excluded) {
  const torch::NoGradGuard no_grad;
  check_search(train, queries, k, excluded);
  const Neighbours found = room_for(queries, k);
  for (int64_t first = 0; first < queries.size(0); first += kQueryBlock) {
    const int64_t end = first + kQueryBlock;
    search_block(train,
                 queries.slice(0, first, end),
                 excluded < 0 ? -1 : excluded + first,
                 {found.similarities.slice(0, first, end), found.ids.slice(0, first, end)});
  }
  return found;
}

at::Tensor knn_votes(const Neighbours& neighbours,
                     const at::Tensor& labels,
                     int64_t k,
                     double temperature,
                     int64_t num_classes) {
  const at::Tensor similar = neighbours.similarities.slice(1, 0, k);
  const at::Tensor weights = ((similar - similar.slice(1, 0, 1)) / temperature).exp();
  const at::Tensor ids = neighbours.ids.slice(1, 0, k);
  const at::Tensor classes = labels.index_select(0, ids.flatten()).view(ids.sizes());
  return torch::zeros({ids.size(0), num_classes}, weights.options())
      .scatter_add_(1, classes, weights);
}

std::vector<KnnScore> knn_classify(const LabelledFeatures& train,
                                   const LabelledFeatures* test,
                                   const KnnOptions& options,
                                   const std::function<void(int64_t done)>& done,
                                   Communicator& all) {
  const torch::NoGradGuard no_grad;
  check_features(train, "training");
  if (test != nullptr) check_features(*test, "test");
  const auto rows_of = [&](const at::Tensor& values) {
    return unit_length(values.to(options.device, torch::kFloat32));
  };
  const at::Tensor& truth = test == nullptr ? train.labels : test->labels;
  const int64_t classes =
      1 + std::max(train.labels.max().item<int64_t>(), truth.max().item<int64_t>());
  const int64_t available = train.values.size(0) - (test == nullptr ? 1 : 0);
  require(available >= 1, "kNN: there is no image to compare with");

  std::vector<KnnScore> scores;
  for (const int64_t k : options.ks) {
    for (const double temperature : options.temperatures) {
      scores.push_back({.k = std::min(k, available), .temperature = temperature});
    }
  }
  std::vector<Count> counts(scores.size());
  int64_t largest = 1;
  for (const KnnScore& score : scores) largest = std::max(largest, score.k);
  const Part own = part_of(truth.size(0), kQueryUnit, all);
  const auto search = [&] {
    const at::Tensor rows = rows_of(train.values);
    for (int64_t first = own.first; first < own.end; first += kQueryChunk) {
      const int64_t end = std::min(first + kQueryChunk, own.end);
      const at::Tensor chunk =
          test == nullptr ? rows.slice(0, first, end) : rows_of(test->values.slice(0, first, end));
      Neighbours found = nearest(rows, chunk, largest, test == nullptr ? first : -1);
      found = {found.similarities.cpu(), found.ids.cpu()};
      const at::Tensor labels = truth.slice(0, first, end);
      for (size_t i = 0; i < scores.size(); ++i) {
        const KnnScore& score = scores[i];
        counts[i].add(knn_votes(found, train.labels, score.k, score.temperature, classes),
                      labels,
                      std::min<int64_t>(5, score.k));
      }
      if (done) done(end - own.first);
    }
  };
  do_on_all_ranks(search, all);
  for (size_t i = 0; i < scores.size(); ++i) {
    const double percent = 100.0 / static_cast<double>(truth.size(0));
    scores[i].top1 = percent * static_cast<double>(total(counts[i].top1, all));
    scores[i].top5 = percent * static_cast<double>(total(counts[i].top5, all));
  }
  return scores;
}

}  // namespace previt
