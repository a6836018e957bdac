#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "augment/device_lists.h"
#include "augment/ops/resize.h"

namespace previt {

// Augmentations of whole batches on any device, as torchvision defines them for float tensors.
// Images are float [B, 3, H, W] in [0, 1]. Factors are float [B], one per image, on the images'
// device.

/// Changes images in such a way; returns the same shape.
using BatchChange = std::function<at::Tensor(const at::Tensor& images)>;

/// An axis of each image, all with the same `size`, as it is written down for a device.
struct AxisLists {
  DeviceLists::List origins, steps, lows, highs;
  int64_t size = 0;
};
/// Where `mirrored` is true, the outputs run backwards.
AxisLists list_axes(const std::vector<Axis>& axes,
                    const std::vector<bool>& mirrored,
                    DeviceLists& lists);

/// Weights [B, size, pixels] that resize one axis of `pixels` source pixels when multiplied with
/// it: the dense form of resize_weights(). Without `antialias` the kernels are torch's plain ones
/// (bicubic with a = -0.75, edges repeated).
at::Tensor resize_matrices(const AxisLists& axes, int64_t pixels, Filter filter, bool antialias);

/// Resizes both axes: images [B, 3, H, W], rows [B, h, H], columns [B, w, W] → [B, 3, h, w].
at::Tensor resample(const at::Tensor& images, const at::Tensor& rows, const at::Tensor& columns);

/// The same for k crops of each image, whose channels lie between rows and columns: images
/// [B, H, 3, W], rows [B·k, h, H] and columns [B·k, w, W], image by image → [B·k, h, 3, w]. In this
/// layout both are one product each, of whole batches and without copies.
at::Tensor resample_crops(const at::Tensor& images,
                          const at::Tensor& rows,
                          const at::Tensor& columns);

/// Replaces the images with the indices `rows`, in place, by what `change` makes of them. Nothing
/// is read back, so the host doesn't wait for the device.
void change_rows(at::Tensor& images, const DeviceLists::List& rows, const BatchChange& change);

at::Tensor greyscale(const at::Tensor& images);  ///< all three channels become the grey

/// Changes images in place, each to from + factor · (image - from), clamped to [0, 1], where `from`
/// is its grey picture times `greys` plus the mean of that times `means`. So 0 and 0 change the
/// brightness, `greys` of 1 the saturation and `means` of 1 the contrast; a factor of 1 nothing.
void blend_colors(const at::Tensor& images,
                  const at::Tensor& greys,
                  const at::Tensor& means,
                  const at::Tensor& factors);
at::Tensor turn_hue(const at::Tensor& images, const at::Tensor& shifts);  ///< `shifts` in turns
/// Inverts the values from `threshold` on.
at::Tensor solarize(const at::Tensor& images, double threshold);

/// Three extended box blurs along each axis, with edges repeated: Pillow's GaussianBlur without its
/// rounding. `weights`: of each image, that of a whole pixel in its box, 1 / (2 · box_radius() + 1).
at::Tensor gaussian_blur(const at::Tensor& images, const at::Tensor& weights);

}  // namespace previt
