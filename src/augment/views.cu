// Colours and blur of views on a GPU (gpu_views.h), compiled at run time: PREVIT_TYPE is that of the
// pixels that come in, PREVIT_HEIGHT and PREVIT_WIDTH are the views' sides. A warp works alone and
// its threads meet in warp_sum and warp_sync only, so that tests can run this file on a CPU.
#include "models/kernels/gpu_numbers.cuh"

namespace previt_gpu {

constexpr int kWarpsPerBlock = 4;
constexpr int kSumsPerView = 32;  // parts of a view whose greys are added up by a warp each

// What is drawn for a view, as GpuViews writes it.
struct Drawn {
  float steps[4];    // in their order: 0 brightness, 1 contrast, 2 saturation, 3 hue; below 0: none
  float amounts[4];  // of each: its factor, or the hue's sixths of a turn
  float grey;        // 1: all channels become the grey
  float solarize;    // values from here on are inverted
  float box;         // radius of the blur's boxes; below 0: none
};

__device__ inline int lane() { return static_cast<int>(threadIdx.x % 32); }

__device__ inline float clamped(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

// The weights of torchvision's rgb_to_grayscale.
__device__ inline float grey_of(const float (&p)[3]) {
  return 0.2989f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

__device__ inline void blend(float from, float factor, float (&p)[3]) {
  PREVIT_UNROLL
  for (int c = 0; c < 3; ++c) {
    const float to = p[c] - from;
    p[c] = clamped(factor < 0.5f ? from + factor * to : p[c] - to * (1 - factor));
  }
}

// turn_hue() of device_ops.cpp for one pixel.
__device__ inline void turn(float sixths, float (&p)[3]) {
  const float value = fmaxf(p[0], fmaxf(p[1], p[2]));
  const float chroma = value - fminf(p[0], fminf(p[1], p[2]));
  if (chroma == 0) return;  // grey has no hue
  const float hue = p[0] == value   ? (p[1] - p[2]) / chroma
                    : p[1] == value ? (p[2] - p[0] + 2 * chroma) / chroma
                                    : (p[0] - p[1] + 4 * chroma) / chroma;
  PREVIT_UNROLL
  for (int c = 0; c < 3; ++c) {
    float k = hue + (static_cast<float>(5 - 2 * c) + sixths);
    k -= 6 * floorf(k / 6);
    p[c] = value - chroma * clamped(fminf(k, 4 - k));
  }
}

// The steps of the jitter in their order; with `to_contrast`, those before the contrast alone.
__device__ inline void jitter(const Drawn& drawn, float mean, bool to_contrast, float (&p)[3]) {
  PREVIT_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int step = static_cast<int>(drawn.steps[i]);
    if (step < 0 || (to_contrast && step == 1)) return;
    const float amount = drawn.amounts[i];
    if (step == 3) {
      turn(amount, p);
    } else {
      blend(step == 0 ? 0 : step == 1 ? mean : grey_of(p), amount, p);
    }
  }
}

__device__ inline float finished(const Drawn& drawn, float x) {
  return x >= drawn.solarize ? 1 - x : x;
}

__device__ inline float unit(float x) { return clamped(x); }  // a filter may leave [0, 1]
__device__ inline float unit(unsigned char x) { return static_cast<float>(x) / 255; }

// Pixels come as crops float [B·k, h, 3, w], image by image, or as views of bytes [B, 3, h, w].
template <class T, int kHeight, int kWidth>
struct Source {
  static constexpr bool kCrops = sizeof(T) == sizeof(float);
  const T* pixels;
  __device__ Source(const T* all, long long view, int views, int images)
      : pixels(all + 3LL * kHeight * kWidth *
                         (kCrops ? view % images * (views / images) + view / images : view)) {}
  __device__ void load(int at, float (&p)[3]) const {
    const int y = at / kWidth, x = at % kWidth;
    PREVIT_UNROLL
    for (int c = 0; c < 3; ++c) {
      p[c] = unit(pixels[kCrops ? (y * 3 + c) * kWidth + x : (c * kHeight + y) * kWidth + x]);
    }
  }
};

// sums [views, kSumsPerView]: of the greys of each part of a view as the contrast finds it.
template <class T, int kHeight, int kWidth>
__device__ void sum_greys(
    const T* pixels, const Drawn* all, int views, int images, float* sums) {
  const long long view = warp_of_grid() / kSumsPerView;
  if (view >= views) return;
  const int part = static_cast<int>(warp_of_grid() % kSumsPerView);
  const Drawn drawn = all[view];
  if (drawn.steps[0] < 0) return;
  const Source<T, kHeight, kWidth> source(pixels, view, views, images);
  float sum = 0;
  for (int at = 32 * part + lane(); at < kHeight * kWidth; at += 32 * kSumsPerView) {
    float p[3];
    source.load(at, p);
    jitter(drawn, 0, true, p);
    sum += grey_of(p);
  }
  sum = warp_sum(sum);
  if (lane() == 0) sums[view * kSumsPerView + part] = sum;
}

// out [views, 3, h, w]: all but the blur, and what comes behind it where there is one. A warp has
// 1024 pixels of a view.
template <class T, int kHeight, int kWidth>
__device__ void change_colors(
    const T* pixels, const Drawn* all, const float* sums, int views, int images, float* out) {
  constexpr int kPixels = kHeight * kWidth, kParts = (kPixels + 1023) / 1024;
  const long long view = warp_of_grid() / kParts;
  if (view >= views) return;
  const int begin = 1024 * static_cast<int>(warp_of_grid() % kParts);
  const int end = begin + 1024 < kPixels ? begin + 1024 : kPixels;
  const Drawn drawn = all[view];
  const float mean =
      drawn.steps[0] < 0 ? 0 : warp_sum(sums[view * kSumsPerView + lane()]) / kPixels;
  const Source<T, kHeight, kWidth> source(pixels, view, views, images);
  for (int at = begin + lane(); at < end; at += 32) {
    float p[3];
    source.load(at, p);
    jitter(drawn, mean, false, p);
    if (drawn.grey != 0) p[0] = p[1] = p[2] = grey_of(p);
    PREVIT_UNROLL
    for (int c = 0; c < 3; ++c) {
      out[(view * 3 + c) * kPixels + at] = drawn.box < 0 ? finished(drawn, p[c]) : p[c];
    }
  }
}

// An extended box blur of a line, of which four lie beside each other; edges repeat.
struct Box {
  int whole;
  float inner, outer;
  __device__ explicit Box(float radius)
      : whole(static_cast<int>(radius)),
        inner(1 / (2 * radius + 1)),
        outer((1 - static_cast<float>(2 * whole + 1) * inner) / 2) {}
  template <int kLength>
  __device__ float at(const float* lines, int element) const {
    const auto value = [&](int position) {
      const int inside = position < 0 ? 0 : position < kLength ? position : kLength - 1;
      return lines[4 * inside + element % 4];
    };
    const int middle = element / 4;
    float sum = 0;
    for (int d = -whole; d <= whole; ++d) sum += value(middle + d);
    return inner * sum + outer * (value(middle - whole - 1) + value(middle + whole + 1));
  }
};

// Three box blurs along an axis of views [views, 3, h, w], in place, for those that have one. A warp
// takes four lines. Down, which comes last, what comes behind the blur is done too.
template <int kHeight, int kWidth, bool kDown>
__device__ void blur(const Drawn* all, int views, float* out) {
  constexpr int kLength = kDown ? kHeight : kWidth, kLines = kDown ? kWidth : kHeight;
  constexpr int kGroups = (kLines + 3) / 4;
  __shared__ float shared[2][kWarpsPerBlock][4 * kLength];
  const long long plane = warp_of_grid() / kGroups;
  if (plane >= 3LL * views) return;
  const Drawn drawn = all[plane / 3];
  if (drawn.box < 0) return;
  const int first = 4 * static_cast<int>(warp_of_grid() % kGroups);
  float* const pixels = out + plane * kHeight * kWidth;
  const auto place = [&](int element) {
    const int line = first + element % 4, at = element / 4;
    return kDown ? at * kWidth + line : line * kWidth + at;
  };
  const auto is_line = [&](int element) { return first + element % 4 < kLines; };

  float* from = shared[0][threadIdx.x / 32];
  float* to = shared[1][threadIdx.x / 32];
  for (int i = lane(); i < 4 * kLength; i += 32) from[i] = is_line(i) ? pixels[place(i)] : 0;
  const Box box(drawn.box);
  for (int pass = 0; pass < 2; ++pass) {
    warp_sync();
    for (int i = lane(); i < 4 * kLength; i += 32) to[i] = box.at<kLength>(from, i);
    float* const other = from;
    from = to;
    to = other;
  }
  warp_sync();
  for (int i = lane(); i < 4 * kLength; i += 32) {
    const float blurred = box.at<kLength>(from, i);
    if (is_line(i)) pixels[place(i)] = kDown ? finished(drawn, blurred) : blurred;
  }
}

// resize_matrices() of device_ops.h with antialias: weights [axes, size, pixels], a row of them by a
// warp. filter: 0 bicubic, 1 bilinear, 2 Lanczos.
__device__ inline float filtered(int filter, float x) {
  if (filter == 1) return fmaxf(1 - x, 0.0f);
  if (filter == 0) {
    if (x < 1) return (1.5f * x - 2.5f) * x * x + 1;
    return x < 2 ? -0.5f * (((x - 5) * x + 8) * x - 4) : 0;
  }
  if (x >= 3) return 0;
  const float angle = 3.14159265358979f * x;
  return x == 0 ? 1 : 3 * sinf(angle) * sinf(angle / 3) / (angle * angle);
}

__device__ inline void resize_weights(const float* origins,
                                      const float* steps,
                                      const float* lows,
                                      const float* highs,
                                      int axes,
                                      int size,
                                      int pixels,
                                      int filter,
                                      float* weights) {
  const long long row = warp_of_grid();
  if (row >= static_cast<long long>(axes) * size) return;
  const long long axis = row / size;
  const float step = steps[axis], low = lows[axis], high = highs[axis];
  const float center = origins[axis] + (static_cast<float>(row % size) + 0.5f) * step;
  const float scale = fmaxf(fabsf(step), 1.0f);
  const auto weight = [&](int pixel) {
    const float position = static_cast<float>(pixel) + 0.5f;
    if (position < low || position > high) return 0.0f;
    return filtered(filter, fabsf((position - center) / scale));
  };
  float sum = 0;
  for (int pixel = lane(); pixel < pixels; pixel += 32) sum += weight(pixel);
  sum = warp_sum(sum);
  for (int pixel = lane(); pixel < pixels; pixel += 32) {
    weights[row * pixels + pixel] = weight(pixel) / sum;
  }
}

}  // namespace previt_gpu

#ifdef PREVIT_HEIGHT
using previt_gpu::Drawn;

extern "C" __global__ void __launch_bounds__(128) resize_weights(const float* origins,
                                                                 const float* steps,
                                                                 const float* lows,
                                                                 const float* highs,
                                                                 int axes,
                                                                 int size,
                                                                 int pixels,
                                                                 int filter,
                                                                 float* weights) {
  previt_gpu::resize_weights(origins, steps, lows, highs, axes, size, pixels, filter, weights);
}

extern "C" __global__ void __launch_bounds__(128)
    sum_greys(const PREVIT_TYPE* pixels, const Drawn* drawn, int views, int images, float* sums) {
  previt_gpu::sum_greys<PREVIT_TYPE, PREVIT_HEIGHT, PREVIT_WIDTH>(
      pixels, drawn, views, images, sums);
}

extern "C" __global__ void __launch_bounds__(128) change_colors(const PREVIT_TYPE* pixels,
                                                                const Drawn* drawn,
                                                                const float* sums,
                                                                int views,
                                                                int images,
                                                                float* out) {
  previt_gpu::change_colors<PREVIT_TYPE, PREVIT_HEIGHT, PREVIT_WIDTH>(
      pixels, drawn, sums, views, images, out);
}

extern "C" __global__ void __launch_bounds__(128)
    blur_across(const Drawn* drawn, int views, float* out) {
  previt_gpu::blur<PREVIT_HEIGHT, PREVIT_WIDTH, false>(drawn, views, out);
}

extern "C" __global__ void __launch_bounds__(128)
    blur_down(const Drawn* drawn, int views, float* out) {
  previt_gpu::blur<PREVIT_HEIGHT, PREVIT_WIDTH, true>(drawn, views, out);
}
#endif
