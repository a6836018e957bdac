#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Pictures of maps over images. Pictures are float32 [3, H, W] in [0, 1]; maps [h, w] of any range
// are stretched over the picture.

/// Values in [0, 1] → colours from black through purple, red and yellow to white: [h, w] →
/// [3, h, w].
at::Tensor heat_colors(const at::Tensor& values);

/// The map as heat over a paled picture [3, H, W]: the least value is cold, the largest hot.
at::Tensor heat_overlay(const at::Tensor& picture, const at::Tensor& map);

/// The picture where `mask` (bool [h, w], one cell a patch) holds, dimmed elsewhere.
at::Tensor cut_out(const at::Tensor& picture, const at::Tensor& mask);

/// The picture shrunk or enlarged to fit into side × side pixels, white around it: [3, side,
/// side].
at::Tensor thumbnail(const at::Tensor& picture, int64_t side);

/// The picture as the bytes of a file: uint8 [H, W, 3].
at::Tensor to_pixels(const at::Tensor& picture);

}  // namespace previt
