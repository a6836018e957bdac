#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace previt {

/// The bytes of a PNG file of `pixels`, uint8 [H, W, 3] RGB on any device. Throws Error for another
/// shape or type. Exists only in builds with image I/O (PREVIT_WITH_IMAGE_IO).
std::string encode_png(const at::Tensor& pixels);

}  // namespace previt
