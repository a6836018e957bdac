#pragma once

#include <string>

#include "augment/image.h"

namespace previt {

/// The bytes of a JPEG file of an RGB image, at quality 1 … 100. Throws Error if the image is too
/// large for the format.
std::string encode_jpeg(const Image& image, int quality);

}  // namespace previt
