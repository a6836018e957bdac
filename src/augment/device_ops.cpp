#include "augment/device_ops.h"

#include <torch/types.h>

namespace previt {
namespace {

at::Tensor column(const at::Tensor& values) { return values.view({-1, 1, 1}); }

at::Tensor per_image(const at::Tensor& factors) { return factors.view({-1, 1, 1, 1}); }

// number - x. LibTorch's own minus would first write the number to the device.
at::Tensor from(double number, const at::Tensor& x) { return torch::rsub(x, number); }

// Keys' cubic convolution kernel with parameter a, for distances x of 0 and more: beyond 1 it is
// a · far² (1 - far), and this as a polynomial differs within 1 by near² (4a + 3 - 2 near).
at::Tensor cubic(const at::Tensor& x, double a) {
  const at::Tensor far = from(2, x).clamp_min_(0), near = from(1, x).clamp_min_(0);
  const at::Tensor inner = near.square().mul_(torch::rsub(near, 4 * a + 3, 2));
  return inner.add_(far.square().mul_(from(1, far)), a);
}

at::Tensor kernel(Filter filter, const at::Tensor& distance, bool antialias) {
  const at::Tensor x = distance.abs();
  switch (filter) {
    case Filter::bilinear:
      return from(1, x).clamp_min_(0);
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
  at::Tensor red = 0.2989 * images.slice(1, 0, 1);
  return red.add_(images.slice(1, 1, 2), 0.587).add_(images.slice(1, 2, 3), 0.114);
}

// [B, size, size]: one extended box blur along an axis, edges repeated. Of a box, the share 0.5 +
// weight · (t - 0.5), between 0 and 1, lies before the pixel that is t pixels behind its middle. All
// that lies before the image belongs to its first pixel, all behind it to the last.
at::Tensor box_matrices(const at::Tensor& weights, int64_t size) {
  const at::Tensor edges = torch::arange(-0.5, static_cast<double>(size), weights.options());
  const at::Tensor middles = torch::arange(0.0, static_cast<double>(size), weights.options());
  const at::Tensor share =
      ((edges - middles.unsqueeze(1)) * column(weights)).add_(0.5).clamp_(0, 1);
  share.select(2, 0).fill_(0);
  share.select(2, size).fill_(1);
  return share.slice(2, 1) - share.slice(2, 0, size);
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
  const auto middles = [&](int64_t count) {
    return torch::arange(0.5, static_cast<double>(count), step.options());
  };
  const at::Tensor centers =
      torch::addcmul(column(axes.origins.numbers()), middles(axes.size).unsqueeze(1), step);
  if (!antialias) return plain_weights(filter, centers, low, high, pixels);

  const at::Tensor positions = middles(pixels);
  const at::Tensor weights =
      kernel(filter, (positions - centers).div_(step.abs().clamp_min_(1)), true)
          .mul_((positions > low).logical_and_(positions < high));
  return weights.div_(weights.sum(2, true));
}

at::Tensor resample(const at::Tensor& images, const at::Tensor& rows, const at::Tensor& columns) {
  const at::Tensor narrow = torch::bmm(images.flatten(1, 2), columns.transpose(1, 2));
  return torch::matmul(rows.unsqueeze(1),
                       narrow.view({images.size(0), images.size(1), images.size(2), -1}));
}

at::Tensor resample_crops(const at::Tensor& images,
                          const at::Tensor& rows,
                          const at::Tensor& columns) {
  const int64_t crops = rows.size(0), height = rows.size(1), channels = images.size(2);
  const at::Tensor low =
      torch::bmm(rows.reshape({images.size(0), -1, images.size(1)}), images.flatten(2));
  return torch::bmm(low.view({crops, height * channels, images.size(3)}), columns.transpose(1, 2))
      .view({crops, height, channels, columns.size(1)});
}

void change_rows(at::Tensor& images, const DeviceLists::List& rows, const BatchChange& change) {
  if (rows.size() == images.size(0)) {  // then they are all images in their order
    images = change(images);
  } else if (rows.size() > 0) {
    images.index_copy_(0, rows.indices(), change(images.index_select(0, rows.indices())));
  }
}

at::Tensor greyscale(const at::Tensor& images) { return grey(images).repeat({1, 3, 1, 1}); }

void blend_colors(const at::Tensor& images,
                  const at::Tensor& greys,
                  const at::Tensor& means,
                  const at::Tensor& factors) {
  const at::Tensor picture = grey(images);
  const at::Tensor mean = picture.mean({1, 2, 3}, true).mul_(per_image(means));
  at::Tensor changed = images;
  torch::lerp_out(changed, mean.addcmul(picture, per_image(greys)), images, per_image(factors))
      .clamp_(0, 1);
}

// Through hue, chroma and value. A hue of 0 to 6 falls into a channel whose own number is n (5, 3, 1
// for red, green, blue): value - chroma · clamp(min(k, 4 - k), 0, 1), where k = (n + hue) mod 6.
at::Tensor turn_hue(const at::Tensor& images, const at::Tensor& shifts) {
  constexpr double kTiny = 1e-30;  // a divisor for grey pixels, which have no hue
  const auto of = images.split(1, 1);
  const at::Tensor &red = of[0], &green = of[1], &blue = of[2];
  const at::Tensor value = images.amax(1, true), chroma = value - images.amin(1, true);
  const at::Tensor hue =
      torch::where(
          red == value,
          green - blue,
          torch::where(green == value, (blue - red).add_(chroma, 2), (red - green).add_(chroma, 4)))
          .div_(chroma.clamp_min(kTiny));
  const at::Tensor n = torch::arange(5, 0, -2, images.options()).view({1, 3, 1, 1});
  const at::Tensor k = (hue + n.add(per_image(shifts), 6)).remainder_(6);
  return torch::addcmul(value, chroma, torch::minimum(k, from(4, k)).clamp_(0, 1), -1);
}

at::Tensor solarize(const at::Tensor& images, double threshold) {
  return torch::where(images >= threshold, from(1, images), images);
}

at::Tensor gaussian_blur(const at::Tensor& images, const at::Tensor& weights) {
  const auto thrice = [&](int64_t size) {
    return torch::matrix_power(box_matrices(weights, size), 3);
  };
  const at::Tensor down = thrice(images.size(2));
  const bool square = images.size(2) == images.size(3);
  return resample(images, down, square ? down : thrice(images.size(3)));
}

}  // namespace previt
