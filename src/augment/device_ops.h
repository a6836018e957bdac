#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "augment/ops/resize.h"

namespace previt {

// Augmentations of whole batches on any device, as torchvision defines them for float tensors.
// Images are float [B, 3, H, W] in [0, 1]; a factor per image is [B] on the images' device.

/// Weights [B, size, pixels] that resample one axis of `pixels` source pixels; as resize_weights(),
/// and multiplying by them is the resize. One axis per image; those with `mirrored` 1 run
/// backwards. Without antialias: torch's plain kernels (bicubic a = -0.75, edges repeated).
at::Tensor resize_matrices(const std::vector<Axis>& axes,
                           const std::vector<bool>& mirrored,
                           int64_t pixels,
                           Filter filter,
                           bool antialias,
                           at::Device device);

/// rows [B, h, H], images [B, 3, H, W], columns [B, w, W] → [B, 3, h, w].
at::Tensor resample(const at::Tensor& images, const at::Tensor& rows, const at::Tensor& columns);

/// The numbers of a list, one per image: float32 [B] on the device.
at::Tensor factors_on(const std::vector<double>& factors, at::Device device);

/// Replaces the images numbered `which` of a batch, in place, by what `change` makes of them.
/// Nothing is read back, so a device need not be waited for.
void change_rows(at::Tensor& images,
                 const std::vector<int64_t>& which,
                 const std::function<at::Tensor(const at::Tensor& some)>& change);

at::Tensor greyscale(const at::Tensor& images);  ///< all three channels are the grey
at::Tensor adjust_brightness(const at::Tensor& images, const at::Tensor& factors);
at::Tensor adjust_contrast(const at::Tensor& images, const at::Tensor& factors);
at::Tensor adjust_saturation(const at::Tensor& images, const at::Tensor& factors);
at::Tensor adjust_hue(const at::Tensor& images, const at::Tensor& shifts);  ///< in turns
at::Tensor solarize(const at::Tensor& images, double threshold);

/// Three extended box blurs per axis, edges repeated (Pillow's GaussianBlur without its rounding).
at::Tensor gaussian_blur(const at::Tensor& images, const std::vector<double>& sigmas);

}  // namespace previt
