#pragma once

#include <memory>
#include <string>

#include "tensor_files.h"

namespace previt {

/// Opens an HDF5 file of tensors. Throws Error led by the path if it can't be read, and always in a
/// build without image I/O (PREVIT_WITH_IMAGE_IO).
std::unique_ptr<TensorFile> open_tensor_file(const std::string& path);

}  // namespace previt
