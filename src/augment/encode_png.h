#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace previt {

/// The bytes of a PNG file of uint8 [H, W, 3], RGB. Only with image I/O (PREVIT_WITH_IMAGE_IO).
std::string encode_png(const at::Tensor& pixels);

}  // namespace previt
