#pragma once

#include <functional>
#include <map>
#include <string>

#include "models/weights/pickle.h"

namespace previt {

/// The bytes that one or several tensors view, as a pickle names them.
struct StorageId {
  std::string key;
  std::string type;  ///< "torch.FloatStorage"
  int64_t elements = 0;
};

/// Turns what torch.save pickles into values: tensors that view storages, parameters, NumPy scalars
/// and arrays, OrderedDict, set, Size, device. Everything else stays an `object`.
class TensorBuilder {
 public:
  /// Fills (now or later) a fresh one-dimensional tensor with the bytes of a storage.
  using Fill = std::function<void(const StorageId&, at::Tensor& storage)>;

  /// All storages together take at most `file_size` bytes, so that a small file can't claim a
  /// terabyte.
  TensorBuilder(std::string place, uint64_t file_size);

  PickleHooks hooks(Fill fill);  ///< this object must outlive them

 private:
  void load_storage(const PickleValue& id, PickleValue& result, const Fill& fill);
  void call(const std::string& callee, const PickleValue& arguments, PickleValue& result);
  void make_view(const PickleValue& arguments, PickleValue& result);
  void make_numpy_scalar(const PickleValue& arguments, PickleValue& result);
  void set_state(const PickleValue& state, PickleValue& result);
  void spend(uint64_t bytes);

  std::string place_;
  uint64_t left_;  // bytes of storages that may still be claimed
  int64_t expanded_ = 0;
  std::map<std::string, at::Tensor> storages_;
};

}  // namespace previt
