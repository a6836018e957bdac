#include "augment/open_tensor_file.h"

#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/tensor_file.h"
#endif
#include "error.h"

namespace previt {

std::unique_ptr<TensorFile> open_tensor_file(const std::string& path) {
#ifdef PREVIT_WITH_IMAGE_IO
  return std::make_unique<TensorFileReader>(path);
#else
  fail("{}: this build reads no HDF5 files (PREVIT_WITH_IMAGE_IO is off)", path);
#endif
}

}  // namespace previt
