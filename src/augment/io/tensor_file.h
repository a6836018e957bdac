#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "tensor_files.h"

namespace previt {

/// Writes named tensors and lists of texts into one HDF5 file that h5py and other tools can read:
/// features, for example, or attention maps. The file is called <path>.partial until finish().
/// Tensors are float32, int64 or uint8, on any device. Throws Error led by the path.
class TensorFileWriter {
 public:
  explicit TensorFileWriter(const std::string& path);
  ~TensorFileWriter();  ///< removes what was not finished

  /// Writes a whole dataset. Its name may contain folders ("maps/000001").
  void write(const std::string& name, const at::Tensor& tensor);
  /// Appends rows [n, …] to a dataset, which the first call creates. All dimensions but the first
  /// must stay the same.
  void append(const std::string& name, const at::Tensor& rows);
  /// Writes UTF-8 strings of any length as a dataset [texts.size()].
  void write_texts(const std::string& name, const std::vector<std::string>& texts);
  /// Stores a text that describes the file.
  void describe(const std::string& name, const std::string& text);

  /// Closes the file and gives it its name.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads such a file. Throws Error led by the path.
class TensorFileReader final : public TensorFile {
 public:
  explicit TensorFileReader(const std::string& path);
  ~TensorFileReader() override;

  bool has(const std::string& name) const override;
  at::Tensor read(const std::string& name) const override;
  std::string description(const std::string& name) const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace previt
