// CUDA's graphs by LibTorch. It needs CUDA's headers, as distributed/nccl_engine.cpp does.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/StreamGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <exception>

#include "device_graph.h"

namespace previt {
namespace {

// The loader's threads pin memory meanwhile, which only this thread may not.
constexpr cudaStreamCaptureMode kMode = cudaStreamCaptureModeThreadLocal;

class CudaGraph final : public DeviceGraph {
 public:
  explicit CudaGraph(at::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
        pool_(at::cuda::graph_pool_handle()) {}

  void rehearse(const std::function<void()>& work) override { on_own_stream(work); }

  void record(const std::function<void()>& work) override {
    on_own_stream([&] {
      // What steps have left can serve the graph, whose memory is apart from theirs.
      c10::cuda::CUDACachingAllocator::emptyCache();
      std::exception_ptr failure;
      const auto attempt = [&](const auto& part) {
        try {
          part();
        } catch (...) {
          if (!failure) failure = std::current_exception();
          return false;
        }
        return true;
      };
      attempt([&] {
        graph_.capture_begin(pool_, kMode);
        work();
      });
      if (!attempt([&] { graph_.capture_end(); })) {
        // Before 2.14, LibTorch's allocator and generator would go on as in a capture. An empty one
        // ends well, and with it the generator's.
        attempt([&] { graph_.reset(); });
        attempt([&] {
          c10::cuda::CUDACachingAllocator::endAllocateToPool(stream_.device_index(), pool_);
        });
        attempt([&] {
          at::cuda::CUDAGraph empty;
          empty.capture_begin(at::cuda::graph_pool_handle(), kMode);
          empty.capture_end();
        });
      }
      if (failure) std::rethrow_exception(failure);
    });
  }

  void replay() override { graph_.replay(); }

 private:
  // Captures want a stream that isn't the default one, and whatever autograd and cuBLAS keep for a
  // stream is to be there before.
  void on_own_stream(const std::function<void()>& work) const {
    const c10::StreamGuard guard(stream_.unwrap());
    c10::cuda::device_synchronize();
    work();
    c10::cuda::device_synchronize();
  }

  const c10::cuda::CUDAStream stream_;
  const c10::MempoolId_t pool_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_device_graph(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  return std::make_unique<CudaGraph>(device);
}

}  // namespace previt
