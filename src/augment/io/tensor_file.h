#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "tensor_files.h"

namespace previt {

/// Writes named tensors and lists of texts into one HDF5 file, which h5py and other tools read:
/// features, attention maps. It is <path>.partial until finish(). float32, int64 and uint8 tensors
/// of any device. Throws Error led by the path.
class TensorFileWriter {
 public:
  explicit TensorFileWriter(const std::string& path);
  ~TensorFileWriter();  ///< removes what was not finished

  /// A whole dataset; a name may hold folders ("maps/000001").
  void write(const std::string& name, const at::Tensor& tensor);
  /// Rows at the end of a dataset that begins with the first call: all but the first dimension
  /// stay.
  void append(const std::string& name, const at::Tensor& rows);
  /// UTF-8 strings of any length, [texts.size()].
  void write_texts(const std::string& name, const std::vector<std::string>& texts);
  /// A text that describes the file.
  void describe(const std::string& name, const std::string& text);

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
