#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace previt {

// An arena is one piece of memory in which weights lie one after another, so that one kernel goes
// over all of them where each would take one otherwise: their moving averages, their copies in the
// compute type.

/// Elements at whose multiples each tensor of an arena begins: 64 bytes of float32, a cache line,
/// and 32 of bfloat16, so that kernels can load 16 bytes at once. Between tensors are zeros.
constexpr int64_t kArenaBoundary = 16;

/// The place that a tensor takes in an arena.
constexpr int64_t padded(int64_t elements) {
  return (elements + kArenaBoundary - 1) / kArenaBoundary * kArenaBoundary;
}

/// Whether weights on this device belong in an arena. On the CPU, where a kernel costs nothing to
/// launch, they don't, but for tests (CpuArenas).
bool arena_pays(at::Device device);

/// While it lives, arenas are used on the CPU too, in this thread.
class CpuArenas {
 public:
  CpuArenas();
  ~CpuArenas();
  CpuArenas(const CpuArenas&) = delete;
  CpuArenas& operator=(const CpuArenas&) = delete;
};

/// Moves weights into one arena, in this order. They stay the tensors that they are, with their
/// values: whoever holds one still does. Weights stay outside that aren't contiguous or of the
/// first one's type and device, or whose memory another tensor shares.
void move_into_arena(const std::vector<at::Tensor>& weights);

bool in_arena(const at::Tensor& tensor);

/// Copies of tensors; those of tensors in an arena lie in another, in this order.
std::vector<at::Tensor> copies_like(const std::vector<at::Tensor>& tensors);

/// Several lists of as many tensors each, in which those that follow each other in an arena, in
/// every list, are one flat tensor. The others are as they were.
std::vector<std::vector<at::Tensor>> joined(const std::vector<std::vector<at::Tensor>>& lists);

/// tensor ← tensor + weight · (end - tensor) for each, in few kernels.
void lerp_all(const std::vector<at::Tensor>& tensors,
              const std::vector<at::Tensor>& ends,
              double weight);
/// The same with a scalar on their device, in their type.
void lerp_all(const std::vector<at::Tensor>& tensors,
              const std::vector<at::Tensor>& ends,
              const at::Tensor& weight);

/// A weight of an arena in another type, not differentiable; undefined for any other tensor. All
/// that changed since are converted at once, when the first is asked for. What a graph still needs
/// is left as it is, and other copies are made.
at::Tensor copy_in_arena(const at::Tensor& weight, at::ScalarType type);

/// Makes copies of these weights outdated, and leaves their memory to who still has it: the next
/// ones lie elsewhere.
void forget_copies(const std::vector<at::Tensor>& weights);

}  // namespace previt
