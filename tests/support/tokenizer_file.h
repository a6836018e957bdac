#pragma once

#include <cstdint>
#include <string>

namespace previt::test {

/// A small image tokenizer as FOLDER/tokenizer.safetensors, whose codebook is of random images;
/// `patch` is a power of two. Returns the path, for load_tokenizer.
std::string write_tiny_tokenizer(
    const std::string& folder, int64_t height, int64_t width, int64_t patch, int64_t codes);

}  // namespace previt::test
