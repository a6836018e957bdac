#pragma once

#include <cstdint>
#include <string>

namespace previt::test {

/// Writes a small image tokenizer as FOLDER/tokenizer.safetensors, with a codebook made from
/// random images. `height` and `width` are pixels, `patch` is a power of two. Returns the path,
/// for load_tokenizer.
std::string write_tiny_tokenizer(
    const std::string& folder, int64_t height, int64_t width, int64_t patch, int64_t codes);

}  // namespace previt::test
