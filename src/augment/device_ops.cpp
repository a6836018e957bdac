#include "augment/device_ops.h"

#include <torch/types.h>

namespace previt {
namespace {

at::Tensor column(const at::Tensor& values) { return values.view({-1, 1, 1}); }

at::Tensor per_image(const at::Tensor& factors) { return factors.view({-1, 1, 1, 1}); }

// Keys' cubic convolution kernel with parameter a, for distances x of 0 and more.
at::Tensor cubic(const at::Tensor& x, double a) {
  const at::Tensor near = ((a + 2) * x - (a + 3)) * x * x + 1;
  const at::Tensor far = (((x - 5) * x + 8) * x - 4) * a;
  return torch::where(x < 1, near, torch::where(x < 2, far, torch::zeros_like(x)));
}

at::Tensor kernel(Filter filter, const at::Tensor& distance, bool antialias) {
  const at::Tensor x = distance.abs();
  switch (filter) {
    case Filter::bilinear:
      return (1 - x).clamp_min(0);
    case Filter::bicubic:
      return cubic(x, antialias ? -0.5 : -0.75);
    default:
      return torch::where(x < 3, torch::sinc(x) * torch::sinc(x / 3), torch::zeros_like(x));
  }
}

// The weight of each source pixel. What falls beyond the first and last allowed pixel is added to
// these two.
at::Tensor plain_weights(Filter filter,
                         const at::Tensor& centers,
                         const at::Tensor& low,
                         const at::Tensor& high,
                         int64_t pixels) {
  const auto reach = static_cast<int64_t>(filter_radius(filter));
  const at::Tensor first = (centers - 0.5).floor() - (reach - 1);
  at::Tensor weights = torch::zeros({centers.size(0), centers.size(1), pixels}, centers.options());
  for (int64_t tap = 0; tap < 2 * reach; ++tap) {
    const at::Tensor position = first + tap;
    const at::Tensor at = position.maximum(low).minimum(high - 1).to(torch::kLong);
    weights.scatter_add_(2, at, kernel(filter, position + 0.5 - centers, false));
  }
  return weights;
}

// The weights of torchvision's rgb_to_grayscale.
at::Tensor grey(const at::Tensor& images) {
  const at::Tensor red = 0.2989 * images.slice(1, 0, 1);
  return red.add(images.slice(1, 1, 2), 0.587).add(images.slice(1, 2, 3), 0.114);
}

at::Tensor blend(const at::Tensor& from, const at::Tensor& to, const at::Tensor& factors) {
  return torch::lerp(from, to, per_image(factors)).clamp_(0, 1);
}

// [B, size, size]: one extended box blur along an axis, edges repeated.
at::Tensor box_matrices(const at::Tensor& radius, int64_t size) {
  const at::Tensor whole = radius.floor();
  const at::Tensor inner = 1 / (2 * radius + 1);
  const at::Tensor outer = (1 - (2 * whole + 1) * inner) / 2;
  const at::Tensor i = torch::arange(size, radius.options()).view({1, size, 1});
  const at::Tensor distance = (i - i.transpose(1, 2)).abs();
  at::Tensor matrix = inner * (distance <= whole) + outer * (distance == whole + 1);
  // The parts of a box beyond the image count for its first and last pixel.
  const auto outside = [&](const at::Tensor& room) {
    return inner * (whole - room).clamp_min(0) + outer * (room <= whole);
  };
  matrix.slice(2, 0, 1) += outside(i);
  matrix.slice(2, size - 1, size) += outside(size - 1 - i);
  return matrix;
}

struct Hsv {
  at::Tensor hue, saturation, value;  // [B, 1, H, W], hue in turns
};

Hsv to_hsv(const at::Tensor& images) {
  const at::Tensor high = images.amax(1, true), range = high - images.amin(1, true);
  // Grey pixels have no hue. A divisor of 1 keeps them from 0 / 0.
  const at::Tensor even = range == 0;
  const auto below = ((high - images) / range.masked_fill(even, 1)).split(1, 1);
  const auto &rc = below[0], &gc = below[1], &bc = below[2];
  const at::Tensor at_high = images == high;
  const at::Tensor sixth =
      torch::where(at_high.slice(1, 0, 1),
                   bc - gc,
                   torch::where(at_high.slice(1, 1, 2), 2 + rc - bc, 4 + gc - rc))
          .masked_fill_(even, 0);
  return {torch::remainder(sixth / 6, 1), range / high.masked_fill(even, 1), high};
}

// The closed form of HSV to RGB. Channel n (5, 3, 1 for red, green, blue) is value - chroma ·
// clamp(min(k, 4 - k), 0, 1), where k = (n + 6 · hue) mod 6.
at::Tensor to_rgb(const Hsv& hsv) {
  const at::Tensor n = torch::arange(5, 0, -2, hsv.hue.options()).view({1, 3, 1, 1});
  const at::Tensor k = torch::remainder(n + hsv.hue * 6, 6);
  return hsv.value - hsv.value * hsv.saturation * torch::minimum(k, 4 - k).clamp_(0, 1);
}

}  // namespace

AxisLists list_axes(const std::vector<Axis>& axes,
                    const std::vector<bool>& mirrored,
                    DeviceLists& lists) {
  const int64_t size = axes.front().size;
  std::vector<double> origins, steps, lows, highs;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double step = axes[i].extent / static_cast<double>(size);
    origins.push_back(mirrored[i] ? axes[i].origin + axes[i].extent : axes[i].origin);
    steps.push_back(mirrored[i] ? -step : step);
    lows.push_back(static_cast<double>(axes[i].low));
    highs.push_back(static_cast<double>(axes[i].high));
  }
  return {lists.add(origins), lists.add(steps), lists.add(lows), lists.add(highs), size};
}

at::Tensor resize_matrices(const AxisLists& axes, int64_t pixels, Filter filter, bool antialias) {
  const at::Tensor step = column(axes.steps.numbers()), low = column(axes.lows.numbers()),
                   high = column(axes.highs.numbers());
  const at::Tensor outputs = torch::arange(axes.size, step.options()).view({1, axes.size, 1}) + 0.5;
  const at::Tensor centers = column(axes.origins.numbers()) + outputs * step;
  if (!antialias) return plain_weights(filter, centers, low, high, pixels);

  const at::Tensor positions = torch::arange(pixels, step.options()).view({1, 1, pixels});
  const at::Tensor weights =
      kernel(filter, (positions + 0.5 - centers) / step.abs().clamp_min(1), true) *
      (positions >= low) * (positions < high);
  return weights / weights.sum(2, true);
}

at::Tensor resample(const at::Tensor& images, const at::Tensor& rows, const at::Tensor& columns) {
  return torch::matmul(rows.unsqueeze(1),
                       torch::matmul(images, columns.transpose(1, 2).unsqueeze(1)));
}

void change_rows(at::Tensor& images, const DeviceLists::List& rows, const BatchChange& change) {
  if (rows.size() == images.size(0)) {  // then they are all images in their order
    images = change(images);
  } else if (rows.size() > 0) {
    images.index_copy_(0, rows.indices(), change(images.index_select(0, rows.indices())));
  }
}

at::Tensor greyscale(const at::Tensor& images) { return grey(images).repeat({1, 3, 1, 1}); }

at::Tensor adjust_brightness(const at::Tensor& images, const at::Tensor& factors) {
  return (images * per_image(factors)).clamp_(0, 1);
}

at::Tensor adjust_contrast(const at::Tensor& images, const at::Tensor& factors) {
  return blend(grey(images).mean({1, 2, 3}, true), images, factors);
}

at::Tensor adjust_saturation(const at::Tensor& images, const at::Tensor& factors) {
  return blend(grey(images), images, factors);
}

at::Tensor adjust_hue(const at::Tensor& images, const at::Tensor& shifts) {
  Hsv hsv = to_hsv(images);
  hsv.hue = torch::remainder(hsv.hue + per_image(shifts), 1);
  return to_rgb(hsv);
}

at::Tensor solarize(const at::Tensor& images, double threshold) {
  return torch::where(images >= threshold, 1 - images, images);
}

at::Tensor gaussian_blur(const at::Tensor& images, const at::Tensor& radii) {
  const at::Tensor radius = column(radii);
  const at::Tensor down = torch::matrix_power(box_matrices(radius, images.size(2)), 3);
  const bool square = images.size(2) == images.size(3);
  return resample(
      images, down, square ? down : torch::matrix_power(box_matrices(radius, images.size(3)), 3));
}

}  // namespace previt
