// What the kernels of a GPU read and write numbers with; each includes it. Threads meet in warp_sum
// and warp_sync alone, so that tests can run the kernels on a CPU (emulated_gpu.h there).
#pragma once

#ifndef PREVIT_EMULATED
#define PREVIT_UNROLL _Pragma("unroll")

__device__ inline float warp_sum(float x) {
  PREVIT_UNROLL
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

__device__ inline void warp_sync() { __syncwarp(); }

// Single instructions, exact to 2e-7.
__device__ inline float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif

namespace previt_gpu {

struct Bf16 {
  unsigned short bits;
};

// What a thread reads or writes at once, but for what goes beyond 16 bytes.
template <class T, int kCount>
struct alignas(kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16) Several {
  T at[kCount];
};

__device__ inline float widened(float x) { return x; }
__device__ inline float widened(Bf16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

__device__ inline void narrow(float x, float& to) { to = x; }
// To the nearest, ties to even; a NaN stays one.
__device__ inline void narrow(float x, Bf16& to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
#else
  const unsigned bits = __float_as_uint(x);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to.bits = static_cast<unsigned short>(x != x ? 0x7fc0u : rounded);
#endif
}

template <class T, int kCount>
__device__ inline void load(const T* from, float (&to)[kCount]) {
  const auto several = *reinterpret_cast<const Several<T, kCount>*>(from);
  PREVIT_UNROLL
  for (int j = 0; j < kCount; ++j) to[j] = widened(several.at[j]);
}

template <class T, int kCount>
__device__ inline void store(const float (&from)[kCount], T* to) {
  Several<T, kCount> several;
  PREVIT_UNROLL
  for (int j = 0; j < kCount; ++j) narrow(from[j], several.at[j]);
  *reinterpret_cast<Several<T, kCount>*>(to) = several;
}

__device__ inline long long warp_of_grid() {
  return static_cast<long long>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
}

}  // namespace previt_gpu
