#include "distributed/counted_engine.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/from_blob.h>

#include <atomic>
#include <cstdlib>
#include <utility>

#include "distributed/device_engine.h"
#include "distributed/gloo_backend.h"
#include "support/counted_device.h"

namespace previt::test {
namespace {

std::atomic<int64_t> operations = 0;

// Its tensors are of the host's memory.
at::Tensor on_host(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.device() == counted_device(), "a tensor of the host for the device's engine");
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.options().device(at::kCPU));
}

std::vector<at::Tensor> on_host(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& tensor : tensors) all.push_back(on_host(tensor));
  return all;
}

class EnqueuedWork final : public c10d::Work {
 public:
  EnqueuedWork(c10::intrusive_ptr<c10d::Work> work, std::vector<at::Tensor> tensors)
      : work_(std::move(work)), tensors_(std::move(tensors)) {
    ++operations;
  }
  bool isCompleted() override {
    const auto future = work_->getFuture();
    return future->completed() && !future->hasError();
  }
  bool wait(std::chrono::milliseconds timeout) override { return work_->wait(timeout); }

 private:
  const c10::intrusive_ptr<c10d::Work> work_;
  const std::vector<at::Tensor> tensors_;  // live as long
};

class CountedBackend final : public c10d::Backend {
 public:
  CountedBackend(c10::intrusive_ptr<c10d::Backend> gloo, int rank, int size)
      : Backend(rank, size), gloo_(std::move(gloo)) {}

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions& options) override {
    auto of_host = on_host(tensors);
    return c10::make_intrusive<EnqueuedWork>(gloo_->allreduce(of_host, options), tensors);
  }
  c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor>& tensors,
                                           const c10d::BroadcastOptions& options) override {
    auto of_host = on_host(tensors);
    return c10::make_intrusive<EnqueuedWork>(gloo_->broadcast(of_host, options), tensors);
  }
  c10::intrusive_ptr<c10d::Work> allgather(std::vector<std::vector<at::Tensor>>& outputs,
                                           std::vector<at::Tensor>& inputs,
                                           const c10d::AllgatherOptions& options) override {
    std::vector<std::vector<at::Tensor>> outputs_of_host = {on_host(outputs.at(0))};
    auto inputs_of_host = on_host(inputs);
    auto tensors = outputs[0];
    tensors.push_back(inputs.at(0));
    return c10::make_intrusive<EnqueuedWork>(
        gloo_->allgather(outputs_of_host, inputs_of_host, options), tensors);
  }

 private:
  const c10::intrusive_ptr<c10d::Backend> gloo_;
};

class CountedEngine final : public DeviceEngine {
 public:
  bool serves(at::Device device) const override { return device == counted_device(); }
  std::string identity(at::Device) const override {
    const char* given = std::getenv("COUNTED_IDENTITY");
    return given != nullptr ? given : "counted-" + std::string(std::getenv("RANK"));
  }
  c10::intrusive_ptr<c10d::Backend> open(const c10::intrusive_ptr<c10d::Store>& store,
                                         int64_t rank,
                                         int64_t size) const override {
    return c10::make_intrusive<CountedBackend>(
        open_gloo(store, place_from(environment_variables())),
        static_cast<int>(rank),
        static_cast<int>(size));
  }
};

}  // namespace

int64_t counted_operations() { return operations; }

}  // namespace previt::test

namespace previt {

const DeviceEngine* device_engine() {
  static const test::CountedEngine engine;
  return &engine;
}

}  // namespace previt
