#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "models/kernels/emulated_gpu.h"
// Needs the names above.
#include "models/kernels/gpu_numbers.cuh"

namespace previt::test {

/// Numbers as a kernel has them, with room behind that it must leave alone.
template <class T>
class Numbers {
 public:
  static constexpr float kUntouched = -12352;

  explicit Numbers(size_t count) : count_(count), all_(count + kRoom) {
    for (T& x : all_) previt_gpu::narrow(kUntouched, x);
  }
  Numbers(size_t count, std::mt19937& random, float scale = 1) : Numbers(count) {
    std::normal_distribution<float> normal(0.5F * scale, scale);
    for (size_t i = 0; i < count_; ++i) previt_gpu::narrow(normal(random), all_[i]);
  }
  T* data() { return all_.data(); }
  size_t size() const { return count_; }
  double operator[](size_t i) const { return previt_gpu::widened(all_[i]); }
  bool kept_to_its_place() const {
    for (size_t i = count_; i < all_.size(); ++i) {
      if (previt_gpu::widened(all_[i]) != kUntouched) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kRoom = 2048;
  size_t count_;
  std::vector<T> all_;
};

/// The largest distance, in units of what a rounding of T may do to a number or to the usual size;
/// infinite if a number is missing or one behind them was written.
template <class T>
double apart(const Numbers<T>& got, const std::vector<double>& want) {
  double squares = 0, worst = 0;
  for (const double x : want) squares += x * x;
  const double usual = std::sqrt(squares / static_cast<double>(want.size()));
  const double rounding = std::is_same_v<T, float> ? 2e-6 : 1.0 / 256;
  for (size_t i = 0; i < want.size(); ++i) {
    const double distance = std::abs(got[i] - want[i]);
    if (!(distance <= 1e30)) return INFINITY;
    worst = std::max(worst, distance / (rounding * std::max(std::abs(want[i]), usual)));
  }
  return got.size() == want.size() && got.kept_to_its_place() ? worst : INFINITY;
}

}  // namespace previt::test
