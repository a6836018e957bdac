#pragma once

#include <memory>
#include <string>

#include "tensor_files.h"

namespace previt {

/// An HDF5 file of tensors. Throws Error led by the path, also in a build without image I/O
/// (PREVIT_WITH_IMAGE_IO), which reads none.
std::unique_ptr<TensorFile> open_tensor_file(const std::string& path);

}  // namespace previt
