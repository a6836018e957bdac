#include "models/kernels/weights.h"

#include <ATen/ops/empty_like.h>

#include <mutex>
#include <unordered_map>

namespace previt {
namespace {

struct Kept {
  c10::weak_intrusive_ptr<c10::TensorImpl>
      owner;  // keeps the address from being given to another tensor
  const void* data;
  uint32_t version;
  at::Tensor copy;

  bool fits_alone(const at::Tensor& weight, at::ScalarType type) const {
    return copy.scalar_type() == type && copy.sizes() == weight.sizes() && copy.use_count() == 1 &&
           copy.storage().use_count() == 1;
  }
};

class WeightCopies {
 public:
  at::Tensor get(const at::Tensor& weight, at::ScalarType type) {
    const std::lock_guard lock(mutex_);
    const auto it = kept_.find(weight.unsafeGetTensorImpl());
    if (it != kept_.end() && it->second.copy.scalar_type() == type) {
      Kept& kept = it->second;
      if (kept.version == version(weight) && kept.data == weight.const_data_ptr()) return kept.copy;
    }
    // The old one is overwritten where nobody else holds it: a graph may still need its values.
    at::Tensor copy = it != kept_.end() && it->second.fits_alone(weight, type)
                          ? it->second.copy.copy_(weight.detach())
                          : weight.detach().to(type).contiguous();
    if (it == kept_.end()) drop_expired();
    kept_.insert_or_assign(weight.unsafeGetTensorImpl(),
                           Kept{c10::weak_intrusive_ptr<c10::TensorImpl>(weight.getIntrusivePtr()),
                                weight.const_data_ptr(),
                                version(weight),
                                copy});
    return copy;
  }

 private:
  static uint32_t version(const at::Tensor& weight) {
    return weight.unsafeGetTensorImpl()->version_counter().current_version();
  }

  void drop_expired() {
    std::erase_if(kept_, [](const auto& item) { return item.second.owner.expired(); });
  }

  std::mutex mutex_;
  std::unordered_map<c10::TensorImpl*, Kept> kept_;
};

WeightCopies& copies() {
  static auto* instance = new WeightCopies;  // never destroyed: tensors may outlive the statics
  return *instance;
}

}  // namespace

at::Tensor weight_as(const at::Tensor& weight, at::ScalarType type) {
  if (weight.scalar_type() == type) return weight.detach();
  if (weight.dim() < 2 || !weight.is_leaf() || weight.is_inference())
    return weight.detach().to(type);
  return copies().get(weight, type);
}

}  // namespace previt
