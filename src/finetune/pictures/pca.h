#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace previt {

/// Principal components of rows [N, D], found from their covariance in float64.
struct Pca {
  at::Tensor mean;        ///< float32 [D]
  at::Tensor components;  ///< float32 [k, D], orthonormal, largest variance first
  at::Tensor explained;   ///< float64 [k], share of the whole variance

  /// [N, D] → [N, k].
  at::Tensor project(const at::Tensor& rows) const;
};

/// The first k principal components of rows [N, D]. Each component's largest entry is positive,
/// which makes the result unique. Throws Error for fewer than two rows, and for a k outside [1,
/// D].
Pca fit_pca(const at::Tensor& rows, int64_t k);

/// Colours that show which patches are alike, as DINOv2 shows them (arXiv:2304.07193). Over the
/// patches of all images, the first component tells object from background, which is the side that
/// lies at the pictures' edges. The first three components of the objects' patches are red, green
/// and blue. patches [M, h, w, D] → float32 [M, 3, h, w] in [0, 1], background black.
at::Tensor patch_colors(const at::Tensor& patches);

/// Points [N, 2] as an SVG picture, coloured and listed by class; labels [N] int64, -1: none.
/// Throws Error where the shapes don't fit.
std::string scatter_svg(const at::Tensor& points,
                        const at::Tensor& labels,
                        const std::vector<std::string>& class_names,
                        const std::string& title);

}  // namespace previt
