#pragma once

#include <ucontext.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

// What kernels of a GPU (the *.cu of src) need to be compiled and run as C++: include this
// before them. Blocks and warps run one after the other. The 32 threads of a warp take turns: each
// runs to its next warp_sum or warp_sync, where it waits for the others.

#define PREVIT_EMULATED
#define PREVIT_UNROLL
#define __device__
#define __shared__ static

namespace previt::test {

struct Place {
  unsigned x = 0;
};

class EmulatedWarp {
 public:
  EmulatedWarp() : stacks_(kLanes, std::vector<char>(1 << 16)) {}

  /// Runs a kernel for the threads from `first` of a block on.
  void run(unsigned first, const std::function<void()>& kernel);

  /// The sum of what the threads gave, for each.
  float sum(float x) {
    given_[current_] = x;
    swapcontext(&lanes_[current_], &caller_);
    return total_;
  }

  /// Whether threads have met in a sum that others of their warp never reached.
  bool torn = false;

 private:
  static constexpr size_t kLanes = 32;
  static void enter();

  const std::function<void()>* kernel_ = nullptr;
  std::vector<std::vector<char>> stacks_;
  std::array<ucontext_t, kLanes> lanes_;
  std::array<float, kLanes> given_{};
  std::array<bool, kLanes> done_{};
  ucontext_t caller_;
  size_t current_ = 0;
  float total_ = 0;
};

inline EmulatedWarp warp;
inline Place threadIdx, blockIdx, blockDim, gridDim;

inline void EmulatedWarp::enter() {
  (*warp.kernel_)();
  warp.done_[warp.current_] = true;
}

inline void EmulatedWarp::run(unsigned first, const std::function<void()>& kernel) {
  kernel_ = &kernel;
  done_ = {};
  for (size_t i = 0; i < kLanes; ++i) {
    getcontext(&lanes_[i]);
    lanes_[i].uc_stack.ss_sp = stacks_[i].data();
    lanes_[i].uc_stack.ss_size = stacks_[i].size();
    lanes_[i].uc_link = &caller_;
    makecontext(&lanes_[i], &EmulatedWarp::enter, 0);
  }
  for (size_t waiting = kLanes; waiting > 0;) {
    const size_t before = waiting;
    given_ = {};
    for (current_ = 0; current_ < kLanes; ++current_) {
      if (done_[current_]) continue;
      threadIdx.x = first + static_cast<unsigned>(current_);
      swapcontext(&caller_, &lanes_[current_]);
      if (done_[current_]) --waiting;
    }
    torn = torn || (waiting != 0 && waiting != before);
    total_ = 0;
    for (const float x : given_) total_ += x;
  }
}

/// Runs a kernel on `blocks` blocks of `threads` threads, a multiple of 32.
inline void run_emulated(unsigned blocks, unsigned threads, const std::function<void()>& kernel) {
  gridDim.x = blocks;
  blockDim.x = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    for (unsigned first = 0; first < threads; first += 32) warp.run(first, kernel);
  }
}

}  // namespace previt::test

namespace previt_gpu {
using previt::test::blockDim, previt::test::blockIdx, previt::test::gridDim;
using previt::test::threadIdx;
using std::sqrt;

inline float warp_sum(float x) { return previt::test::warp.sum(x); }
inline void warp_sync() { warp_sum(0); }
inline float reciprocal(float x) { return 1 / x; }
inline float power_of_two(float x) { return std::exp2(x); }
inline float sqrtf(float x) { return std::sqrt(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
}  // namespace previt_gpu
