#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

namespace previt {

/// A file of named tensors, and of named texts that describe it. This is an interface, because the
/// engine is built without HDF5.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual bool has(const std::string& name) const = 0;  ///< whether there is a tensor of this name
  virtual at::Tensor read(const std::string& name) const = 0;
  virtual std::string description(const std::string& name) const = 0;
};

/// Opens one. Throws Error led by the path.
using TensorFileOpener = std::function<std::unique_ptr<TensorFile>(const std::string& path)>;

}  // namespace previt
