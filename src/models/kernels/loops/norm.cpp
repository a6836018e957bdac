#include "models/kernels/loops/norm.h"

#include <cmath>

namespace previt::loops {
namespace {

using namespace simd;

template <class S, class X, class Y>
PREVIT_INLINE inline void forward_loop(const X* x,
                                       const float* weight,
                                       const float* bias,
                                       float eps,
                                       int64_t rows,
                                       int64_t n,
                                       Y* y,
                                       float* moments) {
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n, moments += 2) {
    typename S::Vec total = {}, squares = {};
    for (int64_t c = 0; c < n; c += S::kLanes) {
      typename S::Vec v;
      S::load_some(x + c, n - c, v);
      total += v;
    }
    // The variance gets a pass of its own: the mean square less the squared mean would cancel.
    const float mean = S::sum(total) / count;
    for (int64_t c = 0; c < n; c += S::kLanes) {
      typename S::Vec v;
      S::load_some(x + c, n - c, v);
      v -= mean;
      if (n - c < S::kLanes) S::fill_from(n - c, 0, v);
      squares += v * v;
    }
    const float scale = 1 / std::sqrt(S::sum(squares) / count + eps);
    for (int64_t c = 0; c < n; c += S::kLanes) {
      typename S::Vec v, w, b;
      S::load_some(x + c, n - c, v);
      S::load_some(weight + c, n - c, w);
      S::load_some(bias + c, n - c, b);
      S::store_some(y + c, n - c, (v - mean) * scale * w + b);
    }
    moments[0] = mean;
    moments[1] = scale;
  }
}

template <class S, class X, class Y>
PREVIT_INLINE inline void backward_loop(const X* x,
                                        const Y* dy,
                                        const float* weight,
                                        const float* moments,
                                        int64_t rows,
                                        int64_t n,
                                        const X* residual,
                                        X* dx,
                                        float* sums) {
  for (int64_t r = 0; r < rows; ++r, x += n, dy += n, dx += n, moments += 2) {
    const float mean = moments[0], scale = moments[1];
    typename S::Vec total = {}, product = {};
    for (int64_t c = 0; c < n; c += S::kLanes) {
      typename S::Vec v, g, w, dw, db;
      S::load_some(x + c, n - c, v);
      S::load_some(dy + c, n - c, g);
      S::load_some(weight + c, n - c, w);
      S::load_some(sums + c, n - c, dw);
      S::load_some(sums + n + c, n - c, db);
      v = (v - mean) * scale;
      S::store_some(sums + c, n - c, dw + g * v);
      S::store_some(sums + n + c, n - c, db + g);
      g *= w;
      total += g;
      product += g * v;
    }
    const float mean_g = S::sum(total) / static_cast<float>(n);
    const float mean_gv = S::sum(product) / static_cast<float>(n);
    for (int64_t c = 0; c < n; c += S::kLanes) {
      typename S::Vec v, g, w;
      S::load_some(x + c, n - c, v);
      S::load_some(dy + c, n - c, g);
      S::load_some(weight + c, n - c, w);
      v = (v - mean) * scale;
      v = (g * w - mean_g - v * mean_gv) * scale;
      if (residual != nullptr) {
        S::load_some(residual + c, n - c, w);
        v += w;
      }
      S::store_some(dx + c, n - c, v);
    }
    if (residual != nullptr) residual += n;
  }
}

}  // namespace

template <class X, class Y>
void norm_rows(const X* x,
               const float* weight,
               const float* bias,
               float eps,
               int64_t rows,
               int64_t n,
               Y* y,
               float* moments) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE {
    forward_loop<Simd<lanes>, X, Y>(x, weight, bias, eps, rows, n, y, moments);
  });
}

template <class X, class Y>
void norm_backward_rows(const X* x,
                        const Y* dy,
                        const float* weight,
                        const float* moments,
                        int64_t rows,
                        int64_t n,
                        const X* residual,
                        X* dx,
                        float* sums) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE {
    backward_loop<Simd<lanes>, X, Y>(x, dy, weight, moments, rows, n, residual, dx, sums);
  });
}

#define PREVIT_NORM(X, Y)                                                         \
  template void norm_rows(                                                        \
      const X*, const float*, const float*, float, int64_t, int64_t, Y*, float*); \
  template void norm_backward_rows(                                               \
      const X*, const Y*, const float*, const float*, int64_t, int64_t, const X*, X*, float*);
PREVIT_NORM(float, float)
PREVIT_NORM(float, Bf16)
PREVIT_NORM(Bf16, float)
PREVIT_NORM(Bf16, Bf16)
#undef PREVIT_NORM

}  // namespace previt::loops
