#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "across_ranks.h"
#include "batch.h"
#include "models/vit.h"
#include "options.h"

namespace previt {

/// Which tokens stand for an image.
/// pooled: as the model itself pools (Vit::pooled); cls, mean, cls_mean: the class token, the mean
/// patch token, or both; patches: every patch token.
enum class FeatureTokens { pooled, cls, mean, cls_mean, patches };
constexpr auto enum_names(FeatureTokens) {
  return std::array{"pooled", "cls", "mean", "cls+mean", "patches"};
}

/// Which of a frozen backbone's outputs stand for an image.
struct FeatureOptions {
  FeatureTokens tokens = FeatureTokens::pooled;
  int64_t blocks = 1;  ///< of each of the last n blocks; pooled, patches: of the last
  bool normed = true;  ///< through the final norm
};
void visit(FieldVisitor& v, FeatureOptions& o);

/// Features of normalised images [B, C, H, W]: float32 [B, F], the blocks side by side, the
/// earliest first. Where both tokens of a block are taken, their channels alternate, class token
/// first, as in dino:eval_linear.py. patches: [B, L, D]. The Vit must be in eval mode. Throws
/// UsageError where the model has no such token or fewer blocks.
at::Tensor features_of(Vit& vit, const at::Tensor& images, const FeatureOptions& options);

/// Features of the images of a source. N images.
struct Features {
  at::Tensor values;   ///< float32 [N, …] as features_of says, on the CPU
  at::Tensor labels;   ///< int64 [N], -1: none
  at::Tensor indices;  ///< int64 [N], samples of the dataset; unreadable ones are absent
};

/// How the images of a source are read.
struct FeatureReading {
  NormalizeOptions normalize;
  at::ScalarType type = at::kFloat;  ///< in which the network computes
  std::string task = "features";     ///< shown by the progress bar
  int64_t epoch = 0;                 ///< of the source
  std::optional<Part> batches = {};  ///< of the epoch; without it all
};

/// Makes one pass over `source`, taking each sample once, or over those of its batches that `reading`
/// names. It needs 4 · N · F bytes. Throws Error where no image can be read.
Features extract_features(Vit& vit,
                          BatchSource& source,
                          const FeatureOptions& options,
                          const FeatureReading& reading);

/// The rows of a batch whose sample is new, int64; a loader repeats samples in the place of
/// unreadable ones. indices: int64 [B]. `seen`, bool [samples], is updated.
at::Tensor first_seen_rows(const at::Tensor& indices, at::Tensor& seen);

}  // namespace previt
