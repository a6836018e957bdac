#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// Which patches of a batch are masked; their number may differ between images. B images, L patches
/// of each, R masked ones in all.
struct PatchMask {
  PatchMask(const at::Tensor& mask, at::Device device);  ///< mask: bool [B, L] on the host
  /// `of_all`: what masked_patches() gives, on the device; of B images with L patches each.
  PatchMask(const at::Tensor& of_all, int64_t images, int64_t per_image);

  at::Tensor masked;   ///< [B, L] bool
  at::Tensor patches;  ///< [R] int64: their indices among the batch's B·L

  int64_t count() const { return patches.size(0); }
  /// [R]: their indices among the batch's B·(prefix + L) tokens.
  at::Tensor token_rows(int64_t prefix) const;
  /// [R]: 1 / (B · masked patches of the same image), so that every image counts alike in a sum.
  at::Tensor weights() const;
  /// Rows [R, …] of per-patch values [B, L, …].
  at::Tensor select(const at::Tensor& values) const;
};

/// The indices of the true ones among all, int64 [R]. mask: bool [B, L] on the host. On another
/// device, the host would have to wait for their number.
at::Tensor masked_patches(const at::Tensor& mask);

}  // namespace previt
