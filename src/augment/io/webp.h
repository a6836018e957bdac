#pragma once

#include "augment/io/exif.h"

namespace previt {

/// Decodes a WebP to RGB; transparency is dropped. Throws Error on damage.
Image decode_webp(Bytes file);

}  // namespace previt
