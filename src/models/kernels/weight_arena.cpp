#include "models/kernels/weight_arena.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <optional>
#include <set>

#include "models/kernels/weight_copy.h"

namespace previt {
namespace {

thread_local int64_t cpu_arenas = 0;

/// What belongs to an arena's memory; lives as long as any tensor that lies there.
class Arena {
 public:
  /// A tensor of so many zeros in an arena of its own.
  static at::Tensor make(int64_t elements, const at::TensorOptions& options);
  /// The arena in which a tensor lies; null if in none.
  static Arena* of(const at::Tensor& tensor) {
    return tensor.has_storage() ? of(*tensor.unsafeGetTensorImpl()) : nullptr;
  }

  /// Weights that are to have copies in other types, in the order of their places.
  void add_weight(const at::Tensor& weight);
  /// Undefined for what isn't one of them.
  at::Tensor copy_of(const at::Tensor& weight, at::ScalarType type);
  void forget_copies() { copies_.reset(); }

 private:
  struct Weight {
    c10::weak_intrusive_ptr<c10::TensorImpl> tensor;  // a strong one would keep the arena
    int64_t begin, end;                               // its place
    std::optional<uint32_t> version = {};             // that was copied
    at::Tensor copy = {};
  };
  static Arena* of(const c10::TensorImpl& tensor) {
    return tensor.storage().data_ptr().cast_context<Arena>(&destroy);
  }
  static void destroy(void* arena) { delete static_cast<Arena*>(arena); }
  // None for a weight that is gone or lies elsewhere now.
  std::optional<uint32_t> version_now(const Weight& weight) const;
  bool copies_are_free() const;
  void make_copies(at::ScalarType type);
  void convert_changed();

  at::Tensor memory_;  // the same bytes under another storage
  std::vector<Weight> weights_;
  at::Tensor copies_;
};

at::Tensor Arena::make(int64_t elements, const at::TensorOptions& options) {
  auto* arena = new Arena;
  arena->memory_ = at::zeros({elements}, options);
  return at::for_blob(arena->memory_.mutable_data_ptr(), {elements})
      .context(arena, &destroy)
      .target_device(options.device())
      .options(options)
      .make_tensor();
}

void Arena::add_weight(const at::Tensor& weight) {
  const int64_t begin = weight.storage_offset();
  weights_.push_back({c10::weak_intrusive_ptr<c10::TensorImpl>(weight.getIntrusivePtr()),
                      begin,
                      begin + padded(weight.numel())});
}

std::optional<uint32_t> Arena::version_now(const Weight& weight) const {
  const auto tensor = weight.tensor.lock();
  if (!tensor || of(*tensor) != this) return {};
  return tensor->version_counter().current_version();
}

// Whether no graph needs them.
bool Arena::copies_are_free() const {
  size_t own = 1;
  for (const Weight& weight : weights_) {
    if (weight.copy.use_count() > 1) return false;
    if (weight.copy.defined()) ++own;
  }
  return copies_.storage().use_count() == own;
}

void Arena::make_copies(at::ScalarType type) {
  copies_ = at::empty_like(memory_, memory_.options().dtype(type));
  for (Weight& weight : weights_) {
    weight.version = {};
    const auto tensor = weight.tensor.lock();
    weight.copy = tensor ? copies_.narrow(0, weight.begin, tensor->numel()).view(tensor->sizes())
                         : at::Tensor();
  }
}

// What lies between two that changed is converted with them. What never changes, as a network that
// gives targets, mostly lies beside them.
void Arena::convert_changed() {
  size_t first = weights_.size(), end = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const auto version = version_now(weights_[i]);
    if (!version || version == weights_[i].version) continue;
    weights_[i].version = version;
    first = std::min(first, i);
    end = i + 1;
  }
  if (end == 0) return;
  const int64_t begin = weights_[first].begin, length = weights_[end - 1].end - begin;
  copies_.narrow(0, begin, length).copy_(memory_.narrow(0, begin, length));
}

at::Tensor Arena::copy_of(const at::Tensor& weight, at::ScalarType type) {
  if (weight.scalar_type() == type) return {};
  const auto found = std::lower_bound(
      weights_.begin(), weights_.end(), weight.storage_offset(), [](const Weight& w, int64_t at) {
        return w.begin < at;
      });
  const bool known =
      found != weights_.end() && found->tensor._unsafe_get_target() == weight.unsafeGetTensorImpl();
  if (!known) return {};
  const bool right_type = copies_.defined() && copies_.scalar_type() == type;
  if (right_type && found->version == version_now(*found)) return found->copy;
  const c10::InferenceMode none(false);  // a caller's would make copies that can't be written again
  const at::NoGradGuard no_grad;
  if (!right_type || !copies_are_free()) make_copies(type);
  convert_changed();
  return found->copy;
}

// Slices of an arena with these tensors' shapes and values.
std::vector<at::Tensor> slices_like(const std::vector<at::Tensor>& tensors) {
  int64_t elements = 0;
  for (const at::Tensor& tensor : tensors) elements += padded(tensor.numel());
  const at::Tensor flat = Arena::make(elements, tensors.front().options().requires_grad(false));
  std::vector<at::Tensor> slices;
  int64_t at = 0;
  for (const at::Tensor& tensor : tensors) {
    slices.push_back(flat.narrow(0, at, tensor.numel()).view(tensor.sizes()));
    slices.back().copy_(tensor);
    at += padded(tensor.numel());
  }
  return slices;
}

bool lies_alone(const at::Tensor& tensor) {
  return tensor.is_contiguous() && tensor.storage().use_count() == 1 &&
         tensor.nbytes() == tensor.storage().nbytes();
}

bool follows(const at::Tensor& tensor, const at::Tensor& before) {
  return Arena::of(tensor) != nullptr && Arena::of(tensor) == Arena::of(before) &&
         tensor.storage_offset() == before.storage_offset() + padded(before.numel()) &&
         tensor.is_contiguous() && before.is_contiguous();
}

// All from `first` to `last`, as they lie in an arena.
at::Tensor flat(const at::Tensor& first, const at::Tensor& last) {
  const int64_t begin = first.storage_offset();
  return first.detach().as_strided({last.storage_offset() + last.numel() - begin}, {1}, begin);
}

// Whether it was done: not where no two tensors lie in one run.
template <class Weight>
bool lerp_runs(const std::vector<at::Tensor>& tensors,
               const std::vector<at::Tensor>& ends,
               const Weight& weight) {
  const auto runs = joined({tensors, ends});
  if (runs[0].size() == tensors.size()) return false;
  for (size_t i = 0; i < runs[0].size(); ++i) runs[0][i].lerp_(runs[1][i], weight);
  // A flat tensor has its own count of versions.
  for (const at::Tensor& tensor : tensors) WeightCopy::changed(tensor);
  return true;
}

}  // namespace

bool arena_pays(at::Device device) { return !device.is_cpu() || cpu_arenas > 0; }

CpuArenas::CpuArenas() { ++cpu_arenas; }
CpuArenas::~CpuArenas() { --cpu_arenas; }

void move_into_arena(const std::vector<at::Tensor>& weights) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> moved;
  std::set<const void*> seen;
  for (const at::Tensor& weight : weights) {
    if (!seen.insert(weight.unsafeGetTensorImpl()).second) continue;
    const at::Tensor& first = moved.empty() ? weight : moved.front();
    const bool alike = weight.scalar_type() == first.scalar_type() &&
                       weight.device() == first.device() && !weight.is_inference();
    if (weight.numel() > 0 && alike && lies_alone(weight)) moved.push_back(weight);
  }
  if (moved.empty()) return;
  const std::vector<at::Tensor> slices = slices_like(moved);
  for (size_t i = 0; i < moved.size(); ++i) {
    moved[i].set_data(slices[i]);
    Arena::of(moved[i])->add_weight(moved[i]);
  }
}

bool in_arena(const at::Tensor& tensor) { return Arena::of(tensor) != nullptr; }

std::vector<at::Tensor> copies_like(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> copies(tensors.size()), laid_out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (in_arena(tensors[i])) {
      laid_out.push_back(tensors[i]);
    } else {
      copies[i] = tensors[i].clone();
    }
  }
  if (laid_out.empty()) return copies;
  const std::vector<at::Tensor> slices = slices_like(laid_out);
  auto next = slices.begin();
  for (at::Tensor& copy : copies) {
    if (!copy.defined()) copy = *next++;
  }
  return copies;
}

std::vector<std::vector<at::Tensor>> joined(const std::vector<std::vector<at::Tensor>>& lists) {
  std::vector<std::vector<at::Tensor>> runs(lists.size());
  const size_t count = lists.front().size();
  for (size_t first = 0, end = 0; first < count; first = end) {
    const auto goes_on = [&](const std::vector<at::Tensor>& list) {
      return follows(list[end], list[end - 1]);
    };
    for (++end; end < count && std::all_of(lists.begin(), lists.end(), goes_on);) ++end;
    for (size_t i = 0; i < lists.size(); ++i) {
      runs[i].push_back(end == first + 1 ? lists[i][first]
                                         : flat(lists[i][first], lists[i][end - 1]));
    }
  }
  return runs;
}

void lerp_all(const std::vector<at::Tensor>& tensors,
              const std::vector<at::Tensor>& ends,
              double weight) {
  if (tensors.empty() || lerp_runs(tensors, ends, weight)) return;
  at::_foreach_lerp_(tensors, ends, weight);
}

void lerp_all(const std::vector<at::Tensor>& tensors,
              const std::vector<at::Tensor>& ends,
              const at::Tensor& weight) {
  if (tensors.empty() || lerp_runs(tensors, ends, weight)) return;
  at::_foreach_lerp_(tensors, ends, std::vector<at::Tensor>(tensors.size(), weight));
}

at::Tensor copy_in_arena(const at::Tensor& weight, at::ScalarType type) {
  Arena* const arena = Arena::of(weight);
  return arena == nullptr ? at::Tensor() : arena->copy_of(weight, type);
}

void forget_copies(const std::vector<at::Tensor>& weights) {
  for (const at::Tensor& weight : weights) {
    WeightCopy::changed(weight);
    if (Arena* const arena = Arena::of(weight)) arena->forget_copies();
  }
}

}  // namespace previt
