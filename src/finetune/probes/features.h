#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <string>

#include "batch.h"
#include "models/vit.h"
#include "options.h"

namespace previt {

/// pooled: as the model itself pools (norm(x)[cls], or fc_norm of the mean patch token);
/// cls, mean, cls_mean: the class token, the mean patch token or both; patches: every patch
enum class FeatureTokens { pooled, cls, mean, cls_mean, patches };
constexpr auto enum_names(FeatureTokens) {
  return std::array{"pooled", "cls", "mean", "cls+mean", "patches"};
}

/// Which of a frozen backbone's outputs stand for an image.
struct FeatureOptions {
  FeatureTokens tokens = FeatureTokens::pooled;
  int64_t blocks = 1;  ///< of each of the last n blocks; pooled and patches: the last only
  bool normed = true;  ///< through the final norm
};
void visit(FieldVisitor& v, FeatureOptions& o);

/// Features of normalised images [B, C, H, W]: float32 [B, W], of all blocks side by side, the
/// earliest first. Where both tokens of a block are taken their channels alternate, class token
/// first, as in dino:eval_linear.py. patches: [B, L, D]. The Vit must be in eval mode. Throws
/// UsageError where the model has no such token or fewer blocks.
at::Tensor features_of(Vit& vit, const at::Tensor& images, const FeatureOptions& options);

/// Features of the images of a source. N images.
struct Features {
  at::Tensor values;   ///< float32 [N, …] as features_of says, on the CPU
  at::Tensor labels;   ///< int64 [N], -1: none
  at::Tensor indices;  ///< int64 [N], samples of the dataset; unreadable ones are absent
};

struct FeatureReading {
  NormalizeOptions normalize;
  at::ScalarType type = at::kFloat;  ///< that the network computes in
  std::string task = "features";     ///< shown by the progress bar
  int64_t epoch = 0;                 ///< of the source
};

/// One pass over `source`, each sample once. Memory: 4 · N · W bytes.
Features extract_features(Vit& vit,
                          BatchSource& source,
                          const FeatureOptions& options,
                          const FeatureReading& reading);

/// Rows of a batch whose sample was not in one before: a loader repeats samples in the place of
/// unreadable ones. `seen` [samples] bool is updated.
at::Tensor first_seen_rows(const at::Tensor& indices, at::Tensor& seen);

}  // namespace previt
