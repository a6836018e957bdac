#include "models/kernels/loops/scale.h"

namespace previt::loops {
namespace {

using namespace simd;

template <class S, class T>
PREVIT_INLINE inline void add_scaled_loop(
    const float* x, const T* branch, float factor, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::kLanes) {
    typename S::Vec v, w;
    S::load_some(x + i, count - i, v);
    S::load_some(branch + i, count - i, w);
    S::store_some(y + i, count - i, v + w * factor);
  }
}

template <class S, class T>
PREVIT_INLINE inline void scaled_loop(const float* x, float factor, T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::kLanes) {
    typename S::Vec v;
    S::load_some(x + i, count - i, v);
    S::store_some(y + i, count - i, v * factor);
  }
}

}  // namespace

template <class T>
void add_scaled_span(const float* x, const T* branch, float factor, float* y, int64_t count) {
  by_level([=](auto lanes)
               PREVIT_INLINE { add_scaled_loop<Simd<lanes>, T>(x, branch, factor, y, count); });
}

template <class T>
void scaled_span(const float* x, float factor, T* y, int64_t count) {
  by_level_bf16([=](auto lanes)
                    PREVIT_INLINE { scaled_loop<Simd<lanes>, T>(x, factor, y, count); });
}

template void add_scaled_span(const float*, const float*, float, float*, int64_t);
template void add_scaled_span(const float*, const Bf16*, float, float*, int64_t);
template void scaled_span(const float*, float, float*, int64_t);
template void scaled_span(const float*, float, Bf16*, int64_t);

}  // namespace previt::loops
