#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/vit.h"

namespace previt {

// Where a network looks: the attention of the class token to the patches
// (dino:visualize_attention.py). Registers and the class token itself are left out. B images, H
// heads, h × w patches.

/// The maps of one block (negative counts from the end): float32 [B, H, h, w]. Without a class
/// token they are the mean of all patches' attention. images: normalised, sides any multiple of
/// the patch.
at::Tensor attention_maps(Vit& vit, const at::Tensor& images, int64_t block = -1);

/// Attention rollout (arXiv:2005.00928): the product over all blocks of (mean over heads +
/// identity) / 2, float32 [B, 1, h, w].
at::Tensor attention_rollout(Vit& vit, const at::Tensor& images);

/// The fewest patches that hold more than `share` of a map's mass, picked as in the official tool:
/// those whose ascending cumulative mass is above 1 - share. maps [..., h, w] → bool of the same
/// shape. Throws Error where share is not in (0, 1].
at::Tensor mass_mask(const at::Tensor& maps, double share);

/// Intersection over union of two bool masks of one shape; 0 where both are empty.
double jaccard(const at::Tensor& a, const at::Tensor& b);

/// How well the heads' masks of one image meet its object, as Jaccard indices.
struct MaskScore {
  std::vector<double> heads;  ///< of each head's mask
  double best = 0;            ///< of the best head, as in the DINO paper
  double random = 0;          ///< best of as many masks of random patches, each of a head's area
  double centre_box = 0;      ///< best of as many boxes in the centre, each of a head's area
};

/// Scores the masks of one image: masks bool [H, h, w], truth bool [h·p, w·p] at the size that the
/// network saw, with patch size p. `seed` draws the random masks. Throws Error where the sizes
/// differ.
MaskScore score_masks(const at::Tensor& masks,
                      const at::Tensor& truth,
                      int64_t patch,
                      uint64_t seed);

}  // namespace previt
