// Several processes by c10d: gloo's operations on tensors of the CPU, which every LibTorch for Linux
// has, and those of a device's engine (NCCL) on its tensors. Where there is none, these go over main
// memory. The store, the watch and the rendezvous know of neither.
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>

#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <utility>

#include "across_ranks.h"
#include "distributed/device_engine.h"
#include "distributed/device_identities.h"
#include "distributed/gloo_backend.h"
#include "distributed/process_group.h"
#include "distributed/rendezvous.h"
#include "distributed/tensor_forms.h"
#include "distributed/watch.h"

C10_DECLARE_int(caffe2_log_level);

namespace previt {
namespace {

using BackendPtr = c10::intrusive_ptr<c10d::Backend>;

constexpr int kFatalOnly = 3;  // of glog's levels

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string message_of(const std::exception& error) {
  const auto* of_c10 = dynamic_cast<const c10::Error*>(&error);
  return first_line(of_c10 != nullptr ? of_c10->what_without_backtrace() : error.what());
}

// An operation under way.
struct Operation {
  int64_t number = 0;
  bool on_device = false;
  c10::intrusive_ptr<c10d::Work> work;
};

class C10dGroup final : public ProcessGroup {
 public:
  C10dGroup(const Place& place, const JoinOptions& options)
      : place_(place), program_(options.program), stores_(open_stores(place, options)) {
    watch_ = std::make_shared<Watch>(stores_.for_watch,
                                     place.rank,
                                     place.size,
                                     stores_.keeper,
                                     options.timeout,
                                     options.leader_is_watched);
  }

  void meet() override {
    try {
      call_roll(*stores_.for_groups, *watch_, place_, program_);
      gloo_ = open_gloo(stores_.for_groups, place_);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // of c10d or gloo
      watch_->explain(message_of(error));
    }
  }

  int64_t rank() const override { return place_.rank; }
  int64_t size() const override { return place_.size; }
  void set_timeout(double seconds) override {
    watch_->set_timeout(std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
  }

  void count_busy(int64_t change) override { watch_->count_busy(change); }
  void use_device(at::Device device) override;

  std::unique_ptr<Pending> start_sum(const at::Tensor& tensor) override {
    return reduce(tensor, c10d::ReduceOp::SUM);
  }
  void max(const at::Tensor& tensor) override { reduce(tensor, c10d::ReduceOp::MAX)->wait(); }
  at::Tensor gather(const at::Tensor& tensor) override;
  void broadcast(const at::Tensor& tensor, int64_t from) override;
  std::string broadcast(const std::string& text) override;
  void barrier() override { sum(at::zeros({1}, at::kInt)); }

  bool fail_with(const std::string& line) override {
    try {
      watch_->record(rank() == 0 ? line : fmt::format("rank {} of {}: {}", rank(), size(), line),
                     false);
    } catch (const c10::Error&) {  // the store is lost, so this rank must speak
    }
    return watch_->tells();
  }
  bool fail_after_peer() override { return watch_->tells(); }
  void leave() override { watch_->leave(); }

 private:
  struct Reduction;

  /// Where a tensor is added up or sent from: its device, if that has an engine, or the CPU.
  at::Device carrier_of(const at::Tensor& tensor) const;
  c10d::Backend& backend(at::Device carrier);
  void connect_engine();
  std::unique_ptr<Pending> reduce(const at::Tensor& tensor, c10d::ReduceOp operation);
  /// Starts an operation of the carrier's backend and gives it its number.
  template <class Start>
  Operation start(at::Device carrier, const Start& start_it);
  void finish(const Operation& operation);
  std::vector<at::Tensor> gather_equal(const at::Tensor& tensor);

  const Place place_;
  const std::string program_;
  const Stores stores_;
  std::shared_ptr<Watch> watch_;
  BackendPtr gloo_;
  std::optional<at::Device> device_;  // that the process computes on, where an engine serves it
  bool device_is_known_ = false;
  BackendPtr engine_;  // made by the first operation on the device
};

struct C10dGroup::Reduction final : Pending {
  Reduction(C10dGroup& its_group, at::Tensor given, at::Tensor sent)
      : group(its_group), tensor(std::move(given)), carried(std::move(sent)) {}

  void wait() override {
    group.finish(operation);
    const at::NoGradGuard no_grad;
    if (!carried.is_alias_of(tensor)) tensor.copy_(carried);
  }

  C10dGroup& group;
  const at::Tensor tensor, carried;
  Operation operation;
};

void C10dGroup::use_device(at::Device device) {
  if (std::exchange(device_is_known_, true)) return;
  const DeviceEngine* engine = device_engine();
  const bool serves = engine != nullptr && engine->serves(device);
  const std::string own = serves ? engine->identity(device) : "";
  if (are_devices_of_an_engine(texts_of_all(own + "\n", *this))) device_ = device;
}

at::Device C10dGroup::carrier_of(const at::Tensor& tensor) const {
  return device_ == tensor.device() ? tensor.device() : at::Device(at::kCPU);
}

c10d::Backend& C10dGroup::backend(at::Device carrier) {
  if (carrier.is_cpu()) return *gloo_;
  if (!engine_) connect_engine();
  return *engine_;
}

// An engine connects the ranks in its first operation, and waits there for one that never comes. So
// that is done by a thread, and the watch is asked meanwhile.
void C10dGroup::connect_engine() {
  const int64_t number = watch_->begin();
  auto connected = std::make_shared<std::promise<BackendPtr>>();
  auto result = connected->get_future();
  auto store = c10::make_intrusive<c10d::PrefixStore>("device", stores_.for_groups);
  std::thread([connected, store, place = place_, device = *device_] {
    try {
      auto backend = device_engine()->open(store, place.rank, place.size);
      std::vector<at::Tensor> one = {at::ones({1}, device)};
      backend->allreduce(one)->wait();
      const auto sum = one[0].item<double>();
      require(
          sum == static_cast<double>(place.size), "{}: the sum of ones is {}", device.str(), sum);
      connected->set_value(std::move(backend));
    } catch (...) {
      connected->set_exception(std::current_exception());
    }
  }).detach();
  watch_->wait_for_device(number, [&] {
    return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  try {
    engine_ = result.get();
  } catch (const std::exception& error) {
    watch_->explain(message_of(error));
  }
}

template <class Start>
Operation C10dGroup::start(at::Device carrier, const Start& start_it) {
  watch_->require_well();
  c10d::Backend& its_backend = backend(carrier);
  Operation operation{.number = watch_->begin(), .on_device = !carrier.is_cpu(), .work = {}};
  try {
    operation.work = start_it(its_backend);
    // The future of a device's work tells nothing: it completes when the work is enqueued.
    if (!operation.on_device) {
      operation.work->getFuture()->addCallback(
          [watch = watch_](c10::ivalue::Future&) { watch->wake(); });
    }
    return operation;
  } catch (const c10::Error& error) {
    fail("rank {} of {}: {}", rank(), size(), message_of(error));
  }
}

void C10dGroup::finish(const Operation& operation) {
  c10d::Work& work = *operation.work;
  if (operation.on_device) {
    watch_->wait_for_device(operation.number, [&] { return work.isCompleted(); });
  } else if (const auto future = work.getFuture(); !future->completed()) {
    watch_->wait_for(operation.number, [&] { return future->completed(); });
  }
  try {
    work.wait();  // the device's stream, too
  } catch (const std::exception& error) {
    watch_->explain(message_of(error));
  }
}

std::unique_ptr<Pending> C10dGroup::reduce(const at::Tensor& tensor, c10d::ReduceOp operation) {
  require(tensor.is_contiguous(), "a tensor that isn't contiguous can't be added up over ranks");
  if (tensor.numel() == 0) return Communicator::start_sum(tensor);
  const at::Device carrier = carrier_of(tensor);
  auto reduction = std::make_unique<Reduction>(*this, tensor, as_added(tensor, carrier));
  reduction->operation = start(carrier, [&](c10d::Backend& its_backend) {
    std::vector<at::Tensor> tensors = {reduction->carried};
    c10d::AllreduceOptions options;
    options.reduceOp = operation;
    return its_backend.allreduce(tensors, options);
  });
  return reduction;
}

// One tensor of each rank, all of one shape.
std::vector<at::Tensor> C10dGroup::gather_equal(const at::Tensor& tensor) {
  std::vector<std::vector<at::Tensor>> all(1);
  for (int64_t i = 0; i < size(); ++i) all[0].push_back(at::zeros_like(tensor));
  std::vector<at::Tensor> own = {tensor};
  finish(start(tensor.device(),
               [&](c10d::Backend& its_backend) { return its_backend.allgather(all, own); }));
  return all[0];
}

at::Tensor C10dGroup::gather(const at::Tensor& tensor) {
  const std::vector<int64_t> rows = rows_of(gather_equal(form_of(tensor)), rank());
  const at::Device carrier = carrier_of(tensor);
  const at::Tensor padded = padded_bytes(tensor, rows, carrier);
  const auto parts = padded.numel() > 0 ? gather_equal(padded) : std::vector<at::Tensor>();
  return put_together(parts, rows, tensor).to(tensor.device());
}

void C10dGroup::broadcast(const at::Tensor& tensor, int64_t from) {
  require(from >= 0 && from < size(), "broadcast: from rank {} of {}", from, size());
  if (tensor.numel() == 0) return;
  const at::NoGradGuard no_grad;
  const at::Device carrier = carrier_of(tensor);
  const at::Tensor whole = tensor.detach().to(carrier).contiguous();
  finish(start(carrier, [&](c10d::Backend& its_backend) {
    std::vector<at::Tensor> tensors = {as_bytes(whole, carrier)};
    c10d::BroadcastOptions options;
    options.rootRank = from;
    return its_backend.broadcast(tensors, options);
  }));
  if (!whole.is_alias_of(tensor)) tensor.copy_(whole);
}

std::string C10dGroup::broadcast(const std::string& text) {
  const at::Tensor length = at::zeros({1}, at::kLong);
  *length.data_ptr<int64_t>() = static_cast<int64_t>(text.size());
  broadcast(length, 0);
  std::string all(static_cast<size_t>(*length.data_ptr<int64_t>()), '\0');
  if (rank() == 0) all = text;
  if (!all.empty()) {
    broadcast(at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, at::kByte), 0);
  }
  return all;
}

}  // namespace

void require_c10d() {}

std::unique_ptr<ProcessGroup> open_group(const Place& place, const JoinOptions& options) {
  // What c10d logs of a rank that is gone or late, the watch says in one line.
  if (!options.c10d_logs) FLAGS_caffe2_log_level = kFatalOnly;
  return std::make_unique<C10dGroup>(place, options);
}

}  // namespace previt
