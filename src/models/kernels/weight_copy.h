#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace previt {

/// A layer's copy of its weight in the compute type, made once and used until the weight changes.
/// One thread may use a layer at a time. A weight of an arena (weight_arena.h) has its copy there.
class WeightCopy {
 public:
  /// `weight` in `type`, not differentiable. A weight that has this type is returned itself,
  /// detached. Else the copy is returned; it is made anew if the weight has another version,
  /// storage or identity than before. A copy that a graph still needs is left as it is, and another
  /// one made.
  at::Tensor of(const at::Tensor& weight, at::ScalarType type);

  /// Makes all copies of `weight` outdated, whoever owns them. LibTorch's operators do so
  /// themselves, since they count a tensor's versions. A fused kernel that does not count, or code
  /// that writes through a pointer, has to call this.
  static void changed(const at::Tensor& weight);

 private:
  struct Source {  // weak references, so that no other tensor or storage gets their addresses
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
