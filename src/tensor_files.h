#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

namespace previt {

/// A file of named tensors, with texts that describe it. An interface, as the engine alone reads no
/// HDF5.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual bool has(const std::string& name) const = 0;  ///< a tensor of this name
  virtual at::Tensor read(const std::string& name) const = 0;
  virtual std::string description(const std::string& name) const = 0;
};

/// Opens one. Throws Error led by the path.
using TensorFileOpener = std::function<std::unique_ptr<TensorFile>(const std::string& path)>;

}  // namespace previt
