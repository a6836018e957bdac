#include "gpu_launch.h"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include "error.h"

namespace previt {

at::Device numbered(at::Device device) {
  return device.has_index() ? device : c10::impl::VirtualGuardImpl(device.type()).getDevice();
}

// The header of c10::cuda::CUDAStream asks for CUDA's. It has a c10::Stream as its only member, and
// this method.
void* gpu_stream(at::Device device) {
  using Method = void* (*)(const c10::Stream*);
  static void* const library = dlopen("libc10_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  static const auto method = reinterpret_cast<Method>(
      library == nullptr ? nullptr : dlsym(library, "_ZNK3c104cuda10CUDAStream6streamEv"));
  require(method != nullptr, "LibTorch names no stream of CUDA's");
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  return method(&stream);
}

at::Tensor readable(const at::Tensor& t) {
  if (!t.defined()) return t;
  const at::Tensor whole = t.contiguous();
  return reinterpret_cast<uintptr_t>(whole.data_ptr()) % 16 == 0 ? whole : whole.clone();
}

}  // namespace previt
