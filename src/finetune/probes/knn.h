#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "communicator.h"

namespace previt {

// The weighted k-nearest-neighbour classifier of dino:eval_knn.py (after arXiv:1805.01978).
// Nothing is trained: the training features most similar to a query vote for its class.
// N training features, Q queries, D width, C classes.

/// The training features most similar to each query, most similar first.
struct Neighbours {
  at::Tensor similarities;  ///< float32 [Q, k], dot products
  at::Tensor ids;           ///< int64 [Q, k], rows of the training features
};

/// The exact search, in blocks: it needs no memory that grows with N or Q beyond the features and
/// the result. train [N, D] and queries [Q, D] are float32, on one device, of unit length for
/// cosine similarity. Query i must not find row excluded + i (leave-one-out); a negative
/// `excluded` leaves none out. Among equal similarities the smaller row comes first (on a CPU).
/// Throws Error where there are fewer than k rows to find.
Neighbours nearest(const at::Tensor& train,
                   const at::Tensor& queries,
                   int64_t k,
                   int64_t excluded = -1);

/// The same with LibTorch's operators, on any device; `nearest` uses it off the CPU. Which of
/// equal similarities comes first is the device's choice.
Neighbours nearest_by_blocks(const at::Tensor& train,
                             const at::Tensor& queries,
                             int64_t k,
                             int64_t excluded = -1);

/// Votes of the first k neighbours: Σ exp(similarity / temperature) over the neighbours of each
/// class. All are divided by the nearest neighbour's term, so that nothing overflows. labels [N]
/// int64 → float32 [Q, C].
at::Tensor knn_votes(const Neighbours& neighbours,
                     const at::Tensor& labels,
                     int64_t k,
                     double temperature,
                     int64_t num_classes);

struct KnnOptions {
  std::vector<int64_t> ks = {10, 20, 100, 200};
  std::vector<double> temperatures = {0.07};
  at::Device device = at::kCPU;  ///< that searches; the features may be on another
};

/// The score of one k and temperature. As in the official code, classes without a vote may count
/// among the five best where fewer have one, and for k below 5 only the k best count.
struct KnnScore {
  int64_t k = 0;
  double temperature = 0;
  double top1 = 0, top5 = 0;  ///< percent of the queries
};

/// Features of labelled images: values [N, D] as they are, labels [N] int64 from 0.
struct LabelledFeatures {
  at::Tensor values, labels;
};

/// Scores all combinations of options.ks and temperatures in one search. Features are scaled to
/// unit length here. Without `test` each training feature is classified by all others. A k above
/// the number of neighbours means all of them. done: called with the number of queries classified
/// so far. The ranks, which all have all features, share the queries. Throws Error where a label is
/// missing, a feature is not finite, or there is nothing to compare with.
std::vector<KnnScore> knn_classify(const LabelledFeatures& train,
                                   const LabelledFeatures* test,
                                   const KnnOptions& options,
                                   const std::function<void(int64_t done)>& done = {},
                                   Communicator& all = world());

}  // namespace previt
