#pragma once

#include <cstdint>
#include <vector>

#include "augment/image.h"
#include "batch.h"

namespace previt {

using Filter = Interpolation;

double filter_radius(Filter filter);  ///< in output pixels, when shrinking
double filter_value(Filter filter,
                    double x);  ///< Pillow's kernels: bicubic has a = -0.5, lanczos 3 lobes

/// One axis of a resize: `size` outputs spread over [origin, origin + extent) of the source, in
/// pixels. Only the source pixels [low, high) count.
struct Axis {
  double origin = 0, extent = 0;
  int64_t low = 0, high = 0;
  int64_t size = 0;
};

/// For each output of an axis: its first source pixel and its weights, which are normalised and
/// antialiased as in Pillow (the kernel widens with the reduction). All rows have `taps` weights;
/// unused ones are 0.
struct Weights {
  int64_t taps = 0;
  std::vector<int64_t> first;  ///< [size]
  std::vector<double> values;  ///< [size, taps]
};
Weights resize_weights(const Axis& axis, Filter filter);

/// Which pass of a resize comes first; the other sees its result rounded to 8 bits.
enum class PassOrder { columns_first, rows_first };

/// Pillow's choice: rows first if the height loses more than twice as many pixels as the width.
PassOrder pass_order(int64_t height, int64_t width, int64_t new_height, int64_t new_width);

/// Resizes the window of `source` onto `out`, reading only the pixels of `limits`. Results are
/// within 1 of Pillow's (weights have 14 bits). `flip` mirrors the result left to right at no cost.
/// Throws Error if the channels differ.
void resize(const Image& source,
            const Window& window,
            const Box& limits,
            Filter filter,
            PassOrder order,
            bool flip,
            Pixels out);

}  // namespace previt
