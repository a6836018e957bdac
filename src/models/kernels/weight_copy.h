#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace previt {

/// What a layer keeps beside its weight: the same numbers in the compute type, converted once until
/// the weight changes. One thread uses a layer at a time.
class WeightCopy {
 public:
  /// `weight` in `type`: itself, detached, where it has that type, else the copy, made anew where
  /// the weight has another version, storage or identity than when it was made. A copy that a graph
  /// still needs is left as it is and another one made. Not differentiable.
  at::Tensor of(const at::Tensor& weight, at::ScalarType type);

  /// No copy of `weight`, whoever owns it, is used again. LibTorch's operators, which count a
  /// tensor's versions, say so themselves; a fused kernel that doesn't, or what writes through a
  /// pointer, has to call this.
  static void changed(const at::Tensor& weight);

 private:
  struct Source {  // weak references: no other tensor or storage is given their addresses
    c10::weak_intrusive_ptr<c10::TensorImpl> tensor;
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    uint32_t version;
    bool operator==(const Source&) const = default;
  };
  static Source source_of(const at::Tensor& weight);
  bool is_free_for(const at::Tensor& weight, at::ScalarType type) const;

  std::optional<Source> source_;
  at::Tensor copy_;
};

}  // namespace previt
