#include "models/kernels/norm_loops.h"

#include <cmath>

namespace previt::loops {
namespace {

using namespace simd;

template <class X, class Y>
PREVIT_INLINE inline void forward_body(const X* x,
                                       const float* weight,
                                       const float* bias,
                                       float eps,
                                       int64_t rows,
                                       int64_t n,
                                       Y* y,
                                       float* moments) {
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n, moments += 2) {
    Vec total = {}, squares = {};
    for (int64_t c = 0; c < n; c += kLanes) {
      Vec v;
      load_some(x + c, n - c, v);
      total += v;
    }
    // The variance gets a pass of its own: the mean square less the squared mean would cancel.
    const float mean = simd::sum(total) / count;
    for (int64_t c = 0; c < n; c += kLanes) {
      Vec v;
      load_some(x + c, n - c, v);
      v -= mean;
      if (n - c < kLanes) fill_from(n - c, 0, v);
      squares += v * v;
    }
    const float scale = 1 / std::sqrt(simd::sum(squares) / count + eps);
    for (int64_t c = 0; c < n; c += kLanes) {
      Vec v, w, b;
      load_some(x + c, n - c, v);
      load_some(weight + c, n - c, w);
      load_some(bias + c, n - c, b);
      store_some(y + c, n - c, (v - mean) * scale * w + b);
    }
    moments[0] = mean;
    moments[1] = scale;
  }
}

template <class X, class Y>
PREVIT_INLINE inline void backward_body(const X* x,
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
    Vec total = {}, product = {};
    for (int64_t c = 0; c < n; c += kLanes) {
      Vec v, g, w, dw, db;
      load_some(x + c, n - c, v);
      load_some(dy + c, n - c, g);
      load_some(weight + c, n - c, w);
      load_some(sums + c, n - c, dw);
      load_some(sums + n + c, n - c, db);
      v = (v - mean) * scale;
      store_some(sums + c, n - c, dw + g * v);
      store_some(sums + n + c, n - c, db + g);
      g *= w;
      total += g;
      product += g * v;
    }
    const float mean_g = simd::sum(total) / static_cast<float>(n);
    const float mean_gv = simd::sum(product) / static_cast<float>(n);
    for (int64_t c = 0; c < n; c += kLanes) {
      Vec v, g, w;
      load_some(x + c, n - c, v);
      load_some(dy + c, n - c, g);
      load_some(weight + c, n - c, w);
      v = (v - mean) * scale;
      v = (g * w - mean_g - v * mean_gv) * scale;
      if (residual != nullptr) {
        load_some(residual + c, n - c, w);
        v += w;
      }
      store_some(dx + c, n - c, v);
    }
    if (residual != nullptr) residual += n;
  }
}

}  // namespace

using simd::Bf16;

#define PREVIT_NORM(X, Y)                                          \
  PREVIT_CLONES void norm_rows(const X* x,                         \
                               const float* w,                     \
                               const float* b,                     \
                               float eps,                          \
                               int64_t rows,                       \
                               int64_t n,                          \
                               Y* y,                               \
                               float* moments) {                   \
    forward_body(x, w, b, eps, rows, n, y, moments);               \
  }                                                                \
  PREVIT_CLONES void norm_backward_rows(const X* x,                \
                                        const Y* dy,               \
                                        const float* w,            \
                                        const float* moments,      \
                                        int64_t rows,              \
                                        int64_t n,                 \
                                        const X* residual,         \
                                        X* dx,                     \
                                        float* sums) {             \
    backward_body(x, dy, w, moments, rows, n, residual, dx, sums); \
  }
PREVIT_NORM(float, float)
PREVIT_NORM(float, Bf16)
PREVIT_NORM(Bf16, float)
PREVIT_NORM(Bf16, Bf16)
#undef PREVIT_NORM

}  // namespace previt::loops
