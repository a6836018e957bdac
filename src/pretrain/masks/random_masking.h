#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "batch.h"

namespace previt {

/// How many of `patches` stay visible. The product is truncated in double precision, so that 100
/// patches at ratio 0.9 keep 9 (mae:models_mae.py random_masking).
int64_t kept_patches(int64_t patches, double mask_ratio);

/// One random choice of visible patches per image. B images, L patches, K kept.
struct RandomMask {
  at::Tensor order;  ///< [B, L] int64: the kept patches' numbers, then the masked ones'
  int64_t kept = 0;  ///< K

  at::Tensor kept_ids() const;    ///< [B, K]
  at::Tensor masked_ids() const;  ///< [B, L - K]
  at::Tensor restore() const;     ///< [B, L]: where each patch stands in `order`
  at::Tensor binary() const;      ///< [B, L] float32: 0 kept, 1 masked
};

/// Uniform noise for random_mask, float32 [B, patches] on the host. Each image has its own stream,
/// named by seed, epoch and index, so that the masks stay the same however a batch is cut.
at::Tensor mask_noise(const Batch& batch, int64_t patches, int64_t seed);

/// Keeps the patches of the smallest noise. noise: float32 [B, L]; a narrower type would make ties.
RandomMask random_mask(const at::Tensor& noise, double mask_ratio);

/// Rows `ids` [B, K] of `tokens` [B, N, D], differentiable: [B, K, D].
at::Tensor gather_tokens(const at::Tensor& tokens, const at::Tensor& ids);

}  // namespace previt
