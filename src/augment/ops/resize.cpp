#include "augment/ops/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "augment/ops/resize_kernels.h"
#include "error.h"

namespace previt {
namespace {

double sinc(double x) {
  return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double cubic(double x) {
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// The rounding error of a row goes to its largest weight, so that an even surface stays as it is.
void to_fixed(const double* values, int64_t taps, int16_t* fixed) {
  constexpr int one = 1 << FixedWeights::kBits;
  int sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    fixed[t] = static_cast<int16_t>(std::lrint(values[t] * one));
    sum += fixed[t];
  }
  *std::max_element(fixed, fixed + taps) += static_cast<int16_t>(one - sum);
}

FixedWeights fixed_weights(const Axis& axis, Filter filter, bool mirrored) {
  const Weights exact = resize_weights(axis, filter);
  FixedWeights fixed;
  fixed.taps = (exact.taps + 3) / 4 * 4;
  fixed.first.resize(axis.size);
  fixed.values.assign(axis.size * fixed.taps, 0);
  for (int64_t i = 0; i < axis.size; ++i) {
    const int64_t to = mirrored ? axis.size - 1 - i : i;
    fixed.first[to] = static_cast<int32_t>(exact.first[i]);
    to_fixed(&exact.values[i * exact.taps], exact.taps, &fixed.values[to * fixed.taps]);
  }
  return fixed;
}

// Resizes the columns of rows [first, last) into a scratch buffer of rows of `stride` bytes.
void resize_columns(const Image& source,
                    int64_t first,
                    int64_t last,
                    const FixedWeights& weights,
                    int64_t stride,
                    uint8_t* scratch) {
  const auto& kernels = fastest_resize_kernels();
  const int64_t row_bytes = source.width * source.channels;
  const uint8_t* const end = source.pixels.data() + source.pixels.size();
  const int64_t overread = kOverread + weights.taps * source.channels;
  thread_local std::vector<uint8_t> padded;
  for (int64_t y = first; y < last; ++y) {
    const uint8_t* row = source.row(y);
    if (end - row < row_bytes + overread) {
      padded.resize(row_bytes + overread);
      std::memcpy(padded.data(), row, row_bytes);
      row = padded.data();
    }
    kernels.columns(row, weights, source.channels, scratch + (y - first) * stride);
  }
}

}  // namespace

Filter filter_named(const std::string& name) {
  if (name == "bicubic") return Filter::bicubic;
  if (name == "bilinear") return Filter::bilinear;
  if (name == "lanczos") return Filter::lanczos;
  fail_usage("interpolation: {} is not one of bicubic, bilinear, lanczos", name);
}

double filter_radius(Filter filter) {
  switch (filter) {
    case Filter::bilinear:
      return 1;
    case Filter::bicubic:
      return 2;
    default:
      return 3;
  }
}

double filter_value(Filter filter, double x) {
  x = std::abs(x);
  switch (filter) {
    case Filter::bilinear:
      return std::max(0.0, 1 - x);
    case Filter::bicubic:
      return cubic(x);
    default:
      return x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

Weights resize_weights(const Axis& axis, Filter filter) {
  const double step = axis.extent / static_cast<double>(axis.size);
  const double widening = std::max(step, 1.0);
  const double radius = filter_radius(filter) * widening;
  Weights weights;
  weights.taps =
      std::min<int64_t>(static_cast<int64_t>(std::ceil(radius)) * 2 + 1, axis.high - axis.low);
  weights.first.resize(axis.size);
  weights.values.assign(axis.size * weights.taps, 0);
  for (int64_t i = 0; i < axis.size; ++i) {
    const double center = axis.origin + (static_cast<double>(i) + 0.5) * step;
    const int64_t first =
        std::clamp(static_cast<int64_t>(center - radius + 0.5), axis.low, axis.high - 1);
    const int64_t last =
        std::clamp(static_cast<int64_t>(center + radius + 0.5), first + 1, axis.high);
    double* row = &weights.values[i * weights.taps];
    double sum = 0;
    for (int64_t p = first; p < last; ++p) {
      row[p - first] = filter_value(filter, (static_cast<double>(p) - center + 0.5) / widening);
      sum += row[p - first];
    }
    for (int64_t t = 0; t < last - first; ++t) row[t] /= sum;
    weights.first[i] = first;
  }
  return weights;
}

void resize(const Image& source,
            const Window& window,
            const Box& limits,
            Filter filter,
            bool flip,
            Pixels out) {
  require(out.channels == source.channels,
          "resize: {} channels into {}",
          source.channels,
          out.channels);
  const Axis x{window.left, window.width, limits.left, limits.left + limits.width, out.width};
  const Axis y{window.top, window.height, limits.top, limits.top + limits.height, out.height};
  const FixedWeights across = fixed_weights(x, filter, flip);
  const FixedWeights down = fixed_weights(y, filter, false);

  // Whole scratch rows past the last one are read with weight 0.
  const int64_t count = out.width * out.channels;
  const int64_t stride = (count + kOverwrite + 31) / 32 * 32;
  const int64_t first = *std::min_element(down.first.begin(), down.first.end());
  const int64_t last =
      std::min(y.high, *std::max_element(down.first.begin(), down.first.end()) + down.taps);
  thread_local std::vector<uint8_t> scratch;
  scratch.resize(static_cast<size_t>((last - first + down.taps) * stride));
  resize_columns(source, first, last, across, stride, scratch.data());

  const auto& kernels = fastest_resize_kernels();
  for (int64_t i = 0; i < out.height; ++i) {
    kernels.rows(scratch.data() + (down.first[i] - first) * stride,
                 stride,
                 &down.values[i * down.taps],
                 down.taps,
                 count,
                 out.row(i));
  }
}

}  // namespace previt
