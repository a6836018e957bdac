#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace previt {

// CUDA C++ that is compiled at run time by NVRTC, which LibTorch ships with, and started through
// the driver. Both are looked for when they are first needed, so that nothing here asks for a
// toolkit, or for a LibTorch with CUDA.

/// Whether this process has found NVRTC.
bool can_compile_for_gpu();

/// What each source may include as "models/kernels/gpu_numbers.cuh".
extern const char* const kGpuNumbersSource;

/// The machine code of `source` for an architecture ("sm_90"). defines: "NAME=VALUE". Throws Error
/// with the compiler's words, or without NVRTC.
std::string compile_for_gpu(const std::string& source,
                            const std::string& architecture,
                            const std::vector<std::string>& defines);

/// A compiled program on a device, which stays loaded. All functions throw Error where the driver
/// refuses, and expect the device to be the thread's current one.
class GpuProgram {
 public:
  /// device: as LibTorch numbers them.
  GpuProgram(int device, const std::string& source, const std::vector<std::string>& defines);

  static constexpr unsigned kThreads = 128;     ///< of each block
  static constexpr int kWarps = kThreads / 32;  ///< likewise

  /// How many blocks have as many warps, or some more.
  static unsigned blocks_of(int64_t warps) {
    return static_cast<unsigned>((warps + kWarps - 1) / kWarps);
  }

  /// Queues a kernel behind what `stream` (a cudaStream_t) has to do. The arguments are of the
  /// kernel's own types.
  template <class... A>
  void launch(const char* kernel, unsigned blocks, void* stream, A... arguments) const {
    void* pointers[] = {&arguments...};
    start(kernel, blocks, stream, pointers);
  }

  static void wait_for(void* stream);

 private:
  void start(const char* kernel, unsigned blocks, void* stream, void** arguments) const;

  void* context_ = nullptr;
  void* module_ = nullptr;
};

}  // namespace previt
