#include "augment/device_ops.h"

#include <torch/types.h>

#include <cmath>

#include "augment/ops/blur.h"
#include "upload.h"

namespace previt {
namespace {

at::Tensor column(const std::vector<double>& values, at::Device device) {
  return factors_on(values, device).view({-1, 1, 1});
}

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
  return 0.2989 * images.slice(1, 0, 1) + 0.587 * images.slice(1, 1, 2) +
         0.114 * images.slice(1, 2, 3);
}

at::Tensor blend(const at::Tensor& from, const at::Tensor& to, const at::Tensor& factors) {
  const at::Tensor share = per_image(factors);
  return (share * to + (1 - share) * from).clamp(0, 1);
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
  at::Tensor hue, saturation, value;  // [B, H, W], hue in turns
};

Hsv to_hsv(const at::Tensor& images) {
  const at::Tensor r = images.select(1, 0), g = images.select(1, 1), b = images.select(1, 2);
  const at::Tensor high = images.amax(1), range = high - images.amin(1);
  // Grey pixels have no hue. A divisor of 1 keeps them from 0 / 0.
  const at::Tensor even = range == 0;
  const at::Tensor divisor = range.masked_fill(even, 1);
  const at::Tensor rc = (high - r) / divisor, gc = (high - g) / divisor, bc = (high - b) / divisor;
  const at::Tensor sixth =
      torch::where(high == r, bc - gc, torch::where(high == g, 2 + rc - bc, 4 + gc - rc))
          .masked_fill(even, 0);
  return {torch::remainder(sixth / 6, 1), range / high.masked_fill(even, 1), high};
}

// The closed form of HSV to RGB. Channel n (5, 3, 1 for red, green, blue) is value - chroma ·
// clamp(min(k, 4 - k), 0, 1), where k = (n + 6 · hue) mod 6.
at::Tensor to_rgb(const Hsv& hsv) {
  std::vector<at::Tensor> channels;
  for (const int n : {5, 3, 1}) {
    const at::Tensor k = torch::remainder(n + hsv.hue * 6, 6);
    channels.push_back(hsv.value -
                       hsv.value * hsv.saturation * torch::minimum(k, 4 - k).clamp(0, 1));
  }
  return torch::stack(channels, 1);
}

}  // namespace

at::Tensor resize_matrices(const std::vector<Axis>& axes,
                           const std::vector<bool>& mirrored,
                           int64_t pixels,
                           Filter filter,
                           bool antialias,
                           at::Device device) {
  const int64_t size = axes.front().size;
  std::vector<double> origins, steps, lows, highs;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double step = axes[i].extent / static_cast<double>(size);
    origins.push_back(mirrored[i] ? axes[i].origin + axes[i].extent : axes[i].origin);
    steps.push_back(mirrored[i] ? -step : step);
    lows.push_back(static_cast<double>(axes[i].low));
    highs.push_back(static_cast<double>(axes[i].high));
  }
  const auto options = torch::dtype(torch::kFloat32).device(device);
  const at::Tensor outputs = torch::arange(size, options).view({1, size, 1}) + 0.5;
  const at::Tensor step = column(steps, device), low = column(lows, device),
                   high = column(highs, device);
  const at::Tensor centers = column(origins, device) + outputs * step;
  if (!antialias) return plain_weights(filter, centers, low, high, pixels);

  const at::Tensor positions = torch::arange(pixels, options).view({1, 1, pixels});
  const at::Tensor weights =
      kernel(filter, (positions + 0.5 - centers) / step.abs().clamp_min(1), true) *
      (positions >= low) * (positions < high);
  return weights / weights.sum(2, true);
}

at::Tensor resample(const at::Tensor& images, const at::Tensor& rows, const at::Tensor& columns) {
  return torch::matmul(rows.unsqueeze(1),
                       torch::matmul(images, columns.transpose(1, 2).unsqueeze(1)));
}

at::Tensor factors_on(const std::vector<double>& factors, at::Device device) {
  return upload(torch::tensor(factors, torch::kFloat64).to(torch::kFloat32), device);
}

void change_rows(at::Tensor& images,
                 const std::vector<int64_t>& which,
                 const std::function<at::Tensor(const at::Tensor& some)>& change) {
  if (which.empty()) return;
  const at::Tensor rows = upload(torch::tensor(which, torch::kLong), images.device());
  images.index_copy_(0, rows, change(images.index_select(0, rows)));
}

at::Tensor greyscale(const at::Tensor& images) { return grey(images).expand_as(images); }

at::Tensor adjust_brightness(const at::Tensor& images, const at::Tensor& factors) {
  return (images * per_image(factors)).clamp(0, 1);
}

at::Tensor adjust_contrast(const at::Tensor& images, const at::Tensor& factors) {
  return blend(grey(images).mean({1, 2, 3}, true), images, factors);
}

at::Tensor adjust_saturation(const at::Tensor& images, const at::Tensor& factors) {
  return blend(grey(images), images, factors);
}

at::Tensor adjust_hue(const at::Tensor& images, const at::Tensor& shifts) {
  Hsv hsv = to_hsv(images);
  hsv.hue = torch::remainder(hsv.hue + shifts.view({-1, 1, 1}), 1);
  return to_rgb(hsv);
}

at::Tensor solarize(const at::Tensor& images, double threshold) {
  return torch::where(images >= threshold, 1 - images, images);
}

at::Tensor gaussian_blur(const at::Tensor& images, const std::vector<double>& sigmas) {
  std::vector<double> radii;
  for (const double sigma : sigmas) radii.push_back(box_radius(static_cast<float>(sigma)));
  const at::Tensor radius = column(radii, images.device());
  const at::Tensor down = torch::matrix_power(box_matrices(radius, images.size(2)), 3);
  const at::Tensor across = torch::matrix_power(box_matrices(radius, images.size(3)), 3);
  return resample(images, down, across);
}

}  // namespace previt
