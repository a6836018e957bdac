#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace previt {

// The weighted k-nearest-neighbour classifier of dino:eval_knn.py (after arXiv:1805.01978). Nothing
// is trained: a query's class is voted by the training features most similar to it.
// N training features, Q queries, D width, C classes.

/// The training features most similar to each query, most similar first.
struct Neighbours {
  at::Tensor similarities;  ///< float32 [Q, k], dot products
  at::Tensor ids;           ///< int64 [Q, k], rows of the training features
};

/// Exact, in blocks: memory grows with neither N nor Q beyond the features and the result.
/// train [N, D] and queries [Q, D] float32, unit length for cosine similarity, on one device.
/// excluded: the row that query 0 must not find, query i's being i more (leave-one-out); negative:
/// none. Among equal similarities the smaller row comes first. Throws Error where there are fewer
/// than k rows to find.
Neighbours nearest(const at::Tensor& train,
                   const at::Tensor& queries,
                   int64_t k,
                   int64_t excluded = -1);

/// The same of features on any device with LibTorch's operators, as `nearest` searches where it has
/// no kernel of its own; which of equal similarities comes first is the device's choice.
Neighbours nearest_by_blocks(const at::Tensor& train,
                             const at::Tensor& queries,
                             int64_t k,
                             int64_t excluded = -1);

/// Votes of the first k neighbours: Σ exp(similarity / temperature) over those of a class, divided
/// by that of the nearest one so that nothing overflows. labels [N] int64 → float32 [Q, C].
at::Tensor knn_votes(const Neighbours& neighbours,
                     const at::Tensor& labels,
                     int64_t k,
                     double temperature,
                     int64_t num_classes);

struct KnnOptions {
  std::vector<int64_t> ks = {10, 20, 100, 200};
  std::vector<double> temperatures = {0.07};
  at::Device device = at::kCPU;  ///< that searches, whatever device the features are on
};

/// One classifier's answers. As officially, a class without a vote may count among the five best
/// when fewer have one, and for k below 5 only the k best count.
struct KnnScore {
  int64_t k = 0;
  double temperature = 0;
  double top1 = 0, top5 = 0;  ///< percent of the queries
};

/// Features of labelled images: values [N, D] as they are, labels [N] int64 from 0.
struct LabelledFeatures {
  at::Tensor values, labels;
};

/// All combinations of options.ks and temperatures from one search. Features are scaled to unit
/// length here. Without `test` each training feature is classified by all others. A k that is more
/// than there are neighbours is taken as all of them.
/// done: called with the number of queries classified so far.
std::vector<KnnScore> knn_classify(const LabelledFeatures& train,
                                   const LabelledFeatures* test,
                                   const KnnOptions& options,
                                   const std::function<void(int64_t done)>& done = {});

}  // namespace previt
