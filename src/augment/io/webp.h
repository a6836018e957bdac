#pragma once

#include "augment/io/exif.h"

namespace previt {

/// A WebP's pixels as RGB, transparency dropped. Throws Error.
Image decode_webp(Bytes file);

}  // namespace previt
