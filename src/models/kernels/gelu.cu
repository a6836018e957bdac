// GELU of a product and a bias in one pass on a GPU, and the gradients of both in another (gpu_gelu.h),
// compiled at run time: PREVIT_TYPE is that of the product, PREVIT_WIDTH its rows', PREVIT_COLUMNS how
// many neighbours in a row a thread takes at once. Nothing but the product is kept for the gradients:
// computing the derivative again moves fewer bytes than writing and reading it.

#include "models/kernels/gpu_numbers.cuh"

namespace previt_gpu {

// What a warp works on: a stripe of neighbouring columns, kOwn of them for each thread, in every
// so many-th row.
template <int kWidth, int kOwn>
struct Share {
  static constexpr int kStripes = (kWidth + 32 * kOwn - 1) / (32 * kOwn);
  __device__ static long long part() { return warp_of_grid() / kStripes; }
  __device__ static int column() {
    const int stripe = static_cast<int>(warp_of_grid() % kStripes);
    return (32 * stripe + static_cast<int>(threadIdx.x % 32)) * kOwn;
  }
};

// The normal distribution: its density at x, and how much of it lies below x. Abramowitz & Stegun
// 26.2.17, error 8e-8, as in the CPU's loops: on a GPU, half of erff's instructions.
struct Normal {
  float density, below;
};
__device__ inline Normal normal_at(float x) {
  // 2^(-x² / (2 ln 2) - log2 √(2π))
  const float density = power_of_two(x * x * -0.72134752f - 1.32574806f);
  const float t = reciprocal(1 + 0.2316419f * fabsf(x));
  float p = 1.330274429f * t - 1.821255978f;
  p = p * t + 1.781477937f;
  p = p * t - 0.356563782f;
  p = p * t + 0.319381530f;
  const float tail = density * (t * p);
  return {density, x < 0 ? tail : 1 - tail};
}

// y = gelu(product + bias) for product [rows, width]. parts: how many warps share out the rows of a
// stripe.
template <class T, int kWidth, int kOwn>
__device__ void bias_gelu(const T* __restrict__ product,
                          const float* __restrict__ bias,
                          long long rows,
                          long long parts,
                          T* __restrict__ y) {
  using Own = Share<kWidth, kOwn>;
  const int column = Own::column();
  if (column >= kWidth || Own::part() >= parts) return;
  float b[kOwn];
  load(bias + column, b);
  for (long long row = Own::part(); row < rows; row += parts) {
    float x[kOwn];
    load(product + row * kWidth + column, x);
    PREVIT_UNROLL
    for (int j = 0; j < kOwn; ++j) {
      x[j] += b[j];
      x[j] *= normal_at(x[j]).below;
    }
    store(x, y + row * kWidth + column);
  }
}

// dproduct = dy · gelu'(product + bias), and the sum of it over each part of the rows: sums
// [parts, width].
template <class T, int kWidth, int kOwn>
__device__ void bias_gelu_backward(const T* __restrict__ product,
                                   const float* __restrict__ bias,
                                   const T* __restrict__ dy,
                                   long long rows,
                                   long long parts,
                                   T* __restrict__ dproduct,
                                   float* __restrict__ sums) {
  using Own = Share<kWidth, kOwn>;
  const int column = Own::column();
  if (column >= kWidth || Own::part() >= parts) return;
  float b[kOwn], sum[kOwn] = {};
  load(bias + column, b);
  for (long long row = Own::part(); row < rows; row += parts) {
    float x[kOwn], d[kOwn];
    load(product + row * kWidth + column, x);
    load(dy + row * kWidth + column, d);
    PREVIT_UNROLL
    for (int j = 0; j < kOwn; ++j) {
      x[j] += b[j];
      const Normal normal = normal_at(x[j]);
      d[j] *= normal.below + x[j] * normal.density;
      sum[j] += d[j];
    }
    store(d, dproduct + row * kWidth + column);
  }
  store(sum, sums + Own::part() * kWidth + column);
}

}  // namespace previt_gpu

#ifdef PREVIT_WIDTH
using previt_gpu::Bf16;

extern "C" __global__ void __launch_bounds__(128) bias_gelu(const PREVIT_TYPE* product,
                                                            const float* bias,
                                                            long long rows,
                                                            long long parts,
                                                            PREVIT_TYPE* y) {
  previt_gpu::bias_gelu<PREVIT_TYPE, PREVIT_WIDTH, PREVIT_COLUMNS>(product, bias, rows, parts, y);
}

// For more blocks on a multiprocessor than 8 the compiler would save registers and put off reading dy.
extern "C" __global__ void __launch_bounds__(128, 8) bias_gelu_backward(const PREVIT_TYPE* product,
                                                                        const float* bias,
                                                                        const PREVIT_TYPE* dy,
                                                                        long long rows,
                                                                        long long parts,
                                                                        PREVIT_TYPE* dproduct,
                                                                        float* sums) {
  previt_gpu::bias_gelu_backward<PREVIT_TYPE, PREVIT_WIDTH, PREVIT_COLUMNS>(
      product, bias, dy, rows, parts, dproduct, sums);
}
#endif
