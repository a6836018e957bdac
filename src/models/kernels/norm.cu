// Residual and LayerNorm in one pass on a GPU (gpu_norm.h), compiled at run time: PREVIT_TYPE is that
// of the branches, PREVIT_WIDTH the rows', a multiple of 4. A warp has a row to itself.

#include "models/kernels/gpu_numbers.cuh"

namespace previt_gpu {

// The four columns from column(i) on belong to this thread, for i below kOwn, if inside(i).
template <int kWidth>
struct Columns {
  static constexpr int kOwn = (kWidth + 127) / 128;
  __device__ static int at(int i) { return 128 * i + 4 * static_cast<int>(threadIdx.x % 32); }
  __device__ static bool inside(int i) { return at(i) < kWidth; }
};

// stream = x + branch, or x itself without a branch; y = its norm. moments: mean and 1/σ of each
// row. Without a branch, stream isn't written.
template <class T, int kWidth>
__device__ void add_norm(const float* x,
                         const T* branch,
                         const float* weight,
                         const float* bias,
                         float eps,
                         long long rows,
                         float* stream,
                         T* y,
                         float* moments) {
  using Own = Columns<kWidth>;
  const long long row = warp_of_grid(), begin = row * kWidth;
  if (row >= rows) return;
  float v[Own::kOwn][4] = {};
  float sum = 0;
  PREVIT_UNROLL
  for (int i = 0; i < Own::kOwn; ++i) {
    if (!Own::inside(i)) continue;
    load(x + begin + Own::at(i), v[i]);
    if (branch != nullptr) {
      float added[4];
      load(branch + begin + Own::at(i), added);
      PREVIT_UNROLL
      for (int j = 0; j < 4; ++j) v[i][j] += added[j];
      store(v[i], stream + begin + Own::at(i));
    }
    sum += (v[i][0] + v[i][1]) + (v[i][2] + v[i][3]);
  }
  const float mean = warp_sum(sum) / kWidth;
  float squares = 0;
  PREVIT_UNROLL
  for (int i = 0; i < Own::kOwn; ++i) {
    if (!Own::inside(i)) continue;
    PREVIT_UNROLL
    for (int j = 0; j < 4; ++j) squares += (v[i][j] - mean) * (v[i][j] - mean);
  }
  const float inverse = 1 / sqrtf(warp_sum(squares) / kWidth + eps);
  PREVIT_UNROLL
  for (int i = 0; i < Own::kOwn; ++i) {
    if (!Own::inside(i)) continue;
    float w[4], b[4];
    load(weight + Own::at(i), w);
    load(bias + Own::at(i), b);
    PREVIT_UNROLL
    for (int j = 0; j < 4; ++j) v[i][j] = (v[i][j] - mean) * inverse * w[j] + b[j];
    store(v[i], y + begin + Own::at(i));
  }
  if (threadIdx.x % 32 == 0) {
    moments[2 * row] = mean;
    moments[2 * row + 1] = inverse;
  }
}

// dx = the norm's gradient plus that of the stream, if there is one; with a branch, the same in its
// type. Each warp of the grid goes over every so many-th row and leaves its sums of the gradients
// of weight and bias: sums [warps, 2, width].
template <class T, int kWidth>
__device__ void add_norm_backward(const float* x,
                                  const T* dy,
                                  const float* weight,
                                  const float* moments,
                                  const float* dstream,
                                  long long rows,
                                  float* dx,
                                  T* dbranch,
                                  float* sums) {
  using Own = Columns<kWidth>;
  const long long warps = static_cast<long long>(gridDim.x) * (blockDim.x / 32);
  float dw[Own::kOwn][4] = {}, db[Own::kOwn][4] = {};
  for (long long row = warp_of_grid(); row < rows; row += warps) {
    const long long begin = row * kWidth;
    const float mean = moments[2 * row], inverse = moments[2 * row + 1];
    float normed[Own::kOwn][4] = {}, g[Own::kOwn][4] = {};
    float sum = 0, product = 0;
    PREVIT_UNROLL
    for (int i = 0; i < Own::kOwn; ++i) {
      if (!Own::inside(i)) continue;
      float w[4];
      load(x + begin + Own::at(i), normed[i]);
      load(dy + begin + Own::at(i), g[i]);
      load(weight + Own::at(i), w);
      PREVIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        normed[i][j] = (normed[i][j] - mean) * inverse;
        dw[i][j] += g[i][j] * normed[i][j];
        db[i][j] += g[i][j];
        g[i][j] *= w[j];
        sum += g[i][j];
        product += g[i][j] * normed[i][j];
      }
    }
    sum = warp_sum(sum) / kWidth;
    product = warp_sum(product) / kWidth;
    PREVIT_UNROLL
    for (int i = 0; i < Own::kOwn; ++i) {
      if (!Own::inside(i)) continue;
      float d[4] = {};
      if (dstream != nullptr) load(dstream + begin + Own::at(i), d);
      PREVIT_UNROLL
      for (int j = 0; j < 4; ++j) d[j] += inverse * (g[i][j] - sum - normed[i][j] * product);
      store(d, dx + begin + Own::at(i));
      if (dbranch != nullptr) store(d, dbranch + begin + Own::at(i));
    }
  }
  PREVIT_UNROLL
  for (int i = 0; i < Own::kOwn; ++i) {
    if (!Own::inside(i)) continue;
    store(dw[i], sums + warp_of_grid() * 2 * kWidth + Own::at(i));
    store(db[i], sums + (warp_of_grid() * 2 + 1) * kWidth + Own::at(i));
  }
}

}  // namespace previt_gpu

#ifdef PREVIT_WIDTH
using previt_gpu::Bf16;

extern "C" __global__ void __launch_bounds__(128) add_norm(const float* x,
                                                           const PREVIT_TYPE* branch,
                                                           const float* weight,
                                                           const float* bias,
                                                           float eps,
                                                           long long rows,
                                                           float* stream,
                                                           PREVIT_TYPE* y,
                                                           float* moments) {
  previt_gpu::add_norm<PREVIT_TYPE, PREVIT_WIDTH>(
      x, branch, weight, bias, eps, rows, stream, y, moments);
}

extern "C" __global__ void __launch_bounds__(128) add_norm_backward(const float* x,
                                                                    const PREVIT_TYPE* dy,
                                                                    const float* weight,
                                                                    const float* moments,
                                                                    const float* dstream,
                                                                    long long rows,
                                                                    float* dx,
                                                                    PREVIT_TYPE* dbranch,
                                                                    float* sums) {
  previt_gpu::add_norm_backward<PREVIT_TYPE, PREVIT_WIDTH>(
      x, dy, weight, moments, dstream, rows, dx, dbranch, sums);
}
#endif
