#pragma once

#include <cstdint>
#include <vector>

namespace previt {

/// Weights in 14-bit fixed point for the inner loops. `taps` is a multiple of 4; added ones are 0.
struct FixedWeights {
  static constexpr int kBits = 14;
  int64_t taps = 0;
  std::vector<int32_t> first;   ///< [size], the first source pixel of each output
  std::vector<int16_t> values;  ///< [size, taps]

  int64_t size() const { return static_cast<int64_t>(first.size()); }
};

/// The two passes of a resize over 8-bit pixels. All implementations give the same bits.
struct ResizeKernels {
  /// One row of interleaved pixels → one row of weights.size() pixels. Reads up to `overread` bytes
  /// past the last pixel that has weight.
  void (*columns)(const uint8_t* row, const FixedWeights& weights, int64_t channels, uint8_t* out);
  /// out[j] = Σ_t weights[t] · rows[t][j] for j < count.
  void (*rows)(const uint8_t* const* rows,
               const int16_t* weights,
               int64_t taps,
               int64_t count,
               uint8_t* out);

  static int64_t overread(const FixedWeights& weights, int64_t channels) {
    return weights.taps * channels + 16;
  }
};

const ResizeKernels& portable_resize_kernels();
const ResizeKernels& fastest_resize_kernels();  ///< what this processor runs best

}  // namespace previt
