#include "models/kernels/weight_copy.h"

#include "models/kernels/weight_arena.h"

namespace previt {

WeightCopy::Source WeightCopy::source_of(const at::Tensor& weight) {
  return {c10::weak_intrusive_ptr<c10::TensorImpl>(weight.getIntrusivePtr()),
          weight.storage().getWeakStorageImpl(),
          weight.unsafeGetTensorImpl()->version_counter().current_version()};
}

// Whether the old copy can be overwritten: it fits, and no graph needs its values.
bool WeightCopy::is_free_for(const at::Tensor& weight, at::ScalarType type) const {
  return copy_.defined() && copy_.scalar_type() == type && copy_.device() == weight.device() &&
         copy_.sizes() == weight.sizes() && copy_.use_count() == 1 &&
         copy_.storage().use_count() == 1;
}

at::Tensor WeightCopy::of(const at::Tensor& weight, at::ScalarType type) {
  if (weight.scalar_type() == type) return weight.detach();
  // An inference tensor does not count its versions.
  if (weight.is_inference()) return weight.detach().to(type);
  if (at::Tensor copy = copy_in_arena(weight, type); copy.defined()) return copy;
  Source source = source_of(weight);
  if (source_ == source && copy_.scalar_type() == type) return copy_;
  if (is_free_for(weight, type)) {
    copy_.copy_(weight.detach());
  } else {
    copy_ = weight.detach().to(type).contiguous();
  }
  source_ = std::move(source);
  return copy_;
}

void WeightCopy::changed(const at::Tensor& weight) {
  if (!weight.is_inference()) weight.unsafeGetTensorImpl()->bump_version();
}

}  // namespace previt
