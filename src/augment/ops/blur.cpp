#include "augment/ops/blur.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "by_level.h"

namespace previt {
namespace {

// An extended box in 24-bit fixed point: 2·radius + 1 pixels of weight `inner`, one more on each
// side of weight `outer`.
struct BoxKernel {
  int64_t radius;
  uint32_t inner, outer;
};

BoxKernel box_kernel(float radius) {
  constexpr uint32_t one = 1u << 24;
  BoxKernel box{.radius = static_cast<int64_t>(radius), .inner = 0, .outer = 0};
  box.inner = static_cast<uint32_t>(static_cast<float>(one) / (radius * 2 + 1));
  box.outer = (one - static_cast<uint32_t>(box.radius * 2 + 1) * box.inner) / 2;
  return box;
}

// out[j] = the box over in[j − (r + 1)·step … j + (r + 1)·step]; along a row `step` is the number
// of channels, along columns the bytes of a row. A fixed Radius lets the compiler unroll the sum.
template <int64_t Radius>
PREVIT_INLINE inline void blur_line(const uint8_t* __restrict in,
                                    int64_t step,
                                    const BoxKernel& box,
                                    int64_t count,
                                    uint8_t* __restrict out) {
  const int64_t radius = Radius >= 0 ? Radius : box.radius;
  for (int64_t j = 0; j < count; ++j) {
    uint32_t sum = 0;
    for (int64_t d = -radius; d <= radius; ++d) sum += in[j + d * step];
    const uint32_t edges = in[j - (radius + 1) * step] + in[j + (radius + 1) * step];
    out[j] = static_cast<uint8_t>((sum * box.inner + edges * box.outer + (1u << 23)) >> 24);
  }
}

void blur_lines(const uint8_t* __restrict in,
                int64_t step,
                const BoxKernel& box,
                int64_t count,
                uint8_t* __restrict out) {
  by_level([=](auto) PREVIT_INLINE {
    switch (box.radius) {
      case 0:
        return blur_line<0>(in, step, box, count, out);
      case 1:
        return blur_line<1>(in, step, box, count, out);
      case 2:
        return blur_line<2>(in, step, box, count, out);
      default:
        return blur_line<-1>(in, step, box, count, out);
    }
  });
}

// Two buffers with a margin that repeats the edges on all sides. A pass reads one and writes the
// other.
class Padded {
 public:
  Padded(const Pixels& image, int64_t margin)
      : height_(image.height),
        channels_(image.channels),
        margin_(margin),
        row_((image.width) * channels_),
        stride_(row_ + 2 * margin * channels_) {
    const auto size = static_cast<size_t>((height_ + 2 * margin) * stride_);
    from_.resize(size);
    to_.resize(size);
    for (int64_t y = 0; y < height_; ++y) std::memcpy(line(from_, y), image.row(y), row_);
  }

  void blur_rows(const BoxKernel& box) {
    for (int64_t y = 0; y < height_; ++y) {
      extend(line(from_, y));
      blur_lines(line(from_, y), channels_, box, row_, line(to_, y));
    }
    std::swap(from_, to_);
  }

  void blur_columns(const BoxKernel& box) {
    for (int64_t m = 1; m <= margin_; ++m) {
      std::memcpy(line(from_, -m), line(from_, 0), row_);
      std::memcpy(line(from_, height_ - 1 + m), line(from_, height_ - 1), row_);
    }
    for (int64_t y = 0; y < height_; ++y)
      blur_lines(line(from_, y), stride_, box, row_, line(to_, y));
    std::swap(from_, to_);
  }

  void copy_to(const Pixels& image) {
    for (int64_t y = 0; y < height_; ++y) std::memcpy(image.row(y), line(from_, y), row_);
  }

 private:
  uint8_t* line(std::vector<uint8_t>& buffer, int64_t y) const {
    return buffer.data() + (y + margin_) * stride_ + margin_ * channels_;
  }
  void extend(uint8_t* row) const {
    for (int64_t m = 1; m <= margin_; ++m) {
      std::memcpy(row - m * channels_, row, channels_);
      std::memcpy(row + row_ + (m - 1) * channels_, row + row_ - channels_, channels_);
    }
  }

  int64_t height_, channels_, margin_, row_, stride_;
  inline static thread_local std::vector<uint8_t> from_, to_;
};

}  // namespace

float box_radius(float sigma, int passes) {
  const float variance = sigma * sigma / static_cast<float>(passes);
  const auto length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
  const auto whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  const float next = whole + 1;
  return whole + (2 * whole + 1) * (whole * next - 3 * variance) / (6 * (variance - next * next));
}

void gaussian_blur(Pixels image, double sigma) {
  constexpr int passes = 3;
  const BoxKernel box = box_kernel(box_radius(static_cast<float>(sigma), passes));
  Padded padded(image, box.radius + 1);
  for (int pass = 0; pass < passes; ++pass) padded.blur_rows(box);
  for (int pass = 0; pass < passes; ++pass) padded.blur_columns(box);
  padded.copy_to(image);
}

}  // namespace previt
