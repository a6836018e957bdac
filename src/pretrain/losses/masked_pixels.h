#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Pixels of patches as a prediction target (mae:models_mae.py). B images, C channels, L patches in
// row-major order, P = p·p·C pixels of a patch.

/// Which pixel index runs fastest inside a patch.
enum class PixelOrder {
  channel_last,   ///< (row, column, channel): MAE
  channel_first,  ///< (channel, row, column): as a patch embedding's weight
};
constexpr auto enum_names(PixelOrder) { return std::array{"channel_last", "channel_first"}; }

/// images [B, C, H, W] → [B, L, P].
at::Tensor patchify(const at::Tensor& images, int64_t patch, PixelOrder order);

/// The inverse: patches [B, rows·columns, P] → [B, C, rows·p, columns·p].
at::Tensor unpatchify(
    const at::Tensor& patches, int64_t rows, int64_t columns, int64_t patch, PixelOrder order);

/// Mean and standard deviation of each patch, [B, L, 1]: unbiased variance, 1e-6 inside the root.
struct PatchStatistics {
  at::Tensor mean, deviation;
};
PatchStatistics patch_statistics(const at::Tensor& patches);

/// (patch - mean) / deviation: the target of `norm_pix_loss`.
at::Tensor normalize_patches(const at::Tensor& patches);

/// Mean squared error of two tensors of the same shape, a float32 scalar whatever the prediction's
/// type. With only masked patches given, and equally many of each image, this is MAE's sum over
/// masked patches divided by their number.
at::Tensor pixel_loss(const at::Tensor& prediction, const at::Tensor& target);

/// SimMIM's loss, a scalar: the absolute errors of masked patches [R, P], summed, divided by their
/// number of pixels + 1e-5 and by the channels (SimMIM:models/simmim.py).
at::Tensor absolute_pixel_loss(const at::Tensor& prediction,
                               const at::Tensor& target,
                               int64_t channels);

}  // namespace previt
