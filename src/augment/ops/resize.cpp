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

// Rows of interleaved pixels, `stride` bytes apart. `left` bytes may be read from the start of the
// first row on.
struct Rows {
  const uint8_t* data;
  int64_t stride, count, left;
};

// Resizes each row of `from`. A row is copied first if the kernel would read past the end of the
// memory.
void resize_columns(const Rows& from,
                    const FixedWeights& weights,
                    int64_t channels,
                    uint8_t* out,
                    int64_t out_stride) {
  const auto& kernels = fastest_resize_kernels();
  const int64_t furthest = *std::max_element(weights.first.begin(), weights.first.end());
  const int64_t reach = furthest * channels + ResizeKernels::overread(weights, channels);
  thread_local std::vector<uint8_t> padded;
  for (int64_t y = 0; y < from.count; ++y) {
    const uint8_t* row = from.data + y * from.stride;
    const int64_t left = from.left - y * from.stride;
    if (left < reach) {
      padded.resize(reach);
      std::memcpy(padded.data(), row, left);
      row = padded.data();
    }
    kernels.columns(row, weights, channels, out + y * out_stride);
  }
}

// Makes weights.size() rows of `bytes` bytes each. Taps past the last row have no weight, so that
// row stands in for them.
void resize_rows(const Rows& from,
                 const FixedWeights& weights,
                 int64_t bytes,
                 uint8_t* out,
                 int64_t out_stride) {
  const auto& kernels = fastest_resize_kernels();
  thread_local std::vector<const uint8_t*> taps;
  taps.resize(weights.taps);
  for (int64_t y = 0; y < weights.size(); ++y) {
    for (int64_t t = 0; t < weights.taps; ++t) {
      taps[t] = from.data + std::min(weights.first[y] + t, from.count - 1) * from.stride;
    }
    kernels.rows(
        taps.data(), &weights.values[y * weights.taps], weights.taps, bytes, out + y * out_stride);
  }
}

}  // namespace

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
            PassOrder order,
            bool flip,
            Pixels out) {
  require(out.channels == source.channels,
          "resize: {} channels into {}",
          source.channels,
          out.channels);
  const int64_t channels = source.channels;
  const FixedWeights across = fixed_weights(
      {window.left - static_cast<double>(limits.left), window.width, 0, limits.width, out.width},
      filter,
      flip);
  const FixedWeights down = fixed_weights(
      {window.top - static_cast<double>(limits.top), window.height, 0, limits.height, out.height},
      filter,
      false);

  const uint8_t* start = source.row(limits.top) + limits.left * channels;
  const int64_t left = static_cast<int64_t>(source.pixels.size()) - (start - source.pixels.data());
  const Rows from{start, source.width * channels, limits.height, left};
  const int64_t out_bytes = out.width * channels;
  thread_local std::vector<uint8_t> scratch;
  if (order == PassOrder::columns_first) {
    scratch.resize(limits.height * out_bytes);
    resize_columns(from, across, channels, scratch.data(), out_bytes);
    resize_rows(
        {scratch.data(), out_bytes, limits.height, 0}, down, out_bytes, out.data, out_bytes);
  } else {
    const int64_t bytes = limits.width * channels;
    scratch.resize(out.height * bytes);
    resize_rows(from, down, bytes, scratch.data(), bytes);
    resize_columns({scratch.data(), bytes, out.height, out.height * bytes},
                   across,
                   channels,
                   out.data,
                   out_bytes);
  }
}

PassOrder pass_order(int64_t height, int64_t width, int64_t new_height, int64_t new_width) {
  const int64_t rows_lost = height - new_height;
  const bool rows_first = rows_lost > 0 && rows_lost > 2 * (width - new_width);
  return rows_first ? PassOrder::rows_first : PassOrder::columns_first;
}

}  // namespace previt
