#pragma once

#include <string>

#include "augment/image.h"

namespace previt {

/// Bytes of a JPEG file of an RGB image; quality 1 … 100. Throws Error.
std::string encode_jpeg(const Image& image, int quality);

}  // namespace previt
