// Several processes by c10d's gloo backend, which every LibTorch for Linux has. Tensors on a CUDA
// device go over main memory. NCCL would be another ProcessGroup beside this one: the store, the
// watch and the rendezvous know nothing of gloo.
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <tuple>
#include <utility>

#include "distributed/process_group.h"
#include "distributed/rendezvous.h"
#include "distributed/tensor_forms.h"
#include "distributed/watch.h"

C10_DECLARE_int(caffe2_log_level);

namespace previt {
namespace {

using Work = c10::intrusive_ptr<c10d::Work>;

// A time-out that gloo never reaches: the watch has one, which can be changed and names a rank.
constexpr std::chrono::hours kNever(24 * 365);
constexpr int64_t kMostDimensions = 8;
constexpr int kFatalOnly = 3;  // of glog's levels

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> options_for(const Place& place) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(kNever);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices = {interface != nullptr && *interface != '\0'
                          ? Gloo::createDeviceForInterface(interface)
                          : Gloo::createDeviceForHostname(address_towards(place.address))};
  return options;
}

class GlooGroup final : public ProcessGroup {
 public:
  GlooGroup(const Place& place, const JoinOptions& options)
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
      gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(stores_.for_groups,
                                                          static_cast<int>(place_.rank),
                                                          static_cast<int>(place_.size),
                                                          options_for(place_));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // of c10d or gloo
      watch_->explain(first_line(error.what()));
    }
  }

  int64_t rank() const override { return place_.rank; }
  int64_t size() const override { return place_.size; }
  void set_timeout(double seconds) override {
    watch_->set_timeout(std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
  }

  void count_busy(int64_t change) override { watch_->count_busy(change); }

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

  std::unique_ptr<Pending> reduce(const at::Tensor& tensor, c10d::ReduceOp operation);
  /// Starts an operation and gives it its number.
  template <class Start>
  std::pair<int64_t, Work> start(const Start& start_it);
  void finish(int64_t number, const Work& work);
  std::vector<at::Tensor> gather_equal(const at::Tensor& tensor);

  const Place place_;
  const std::string program_;
  const Stores stores_;
  std::shared_ptr<Watch> watch_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
};

struct GlooGroup::Reduction final : Pending {
  Reduction(GlooGroup& its_group, at::Tensor given, at::Tensor sent)
      : group(its_group), tensor(std::move(given)), carried(std::move(sent)) {}

  void wait() override {
    group.finish(number, work);
    const at::NoGradGuard no_grad;
    if (!carried.is_alias_of(tensor)) tensor.copy_(carried);
  }

  GlooGroup& group;
  const at::Tensor tensor, carried;
  int64_t number = 0;
  Work work;
};

template <class Start>
std::pair<int64_t, Work> GlooGroup::start(const Start& start_it) {
  watch_->require_well();
  const int64_t number = watch_->begin();
  try {
    const Work work = start_it();
    work->getFuture()->addCallback([watch = watch_](c10::ivalue::Future&) { watch->wake(); });
    return {number, work};
  } catch (const c10::Error& error) {
    fail("rank {} of {}: {}", rank(), size(), first_line(error.what_without_backtrace()));
  }
}

void GlooGroup::finish(int64_t number, const Work& work) {
  const auto future = work->getFuture();
  if (!future->completed()) watch_->wait_for(number, [&] { return future->completed(); });
  try {
    work->wait();
  } catch (const std::exception& error) {
    watch_->explain(first_line(error.what()));
  }
}

std::unique_ptr<Pending> GlooGroup::reduce(const at::Tensor& tensor, c10d::ReduceOp operation) {
  require(tensor.is_contiguous(), "a tensor that isn't contiguous can't be added up over ranks");
  if (tensor.numel() == 0) return Communicator::start_sum(tensor);
  auto reduction = std::make_unique<Reduction>(*this, tensor, as_gloo_adds(tensor));
  std::tie(reduction->number, reduction->work) = start([&] {
    std::vector<at::Tensor> tensors = {reduction->carried};
    c10d::AllreduceOptions options;
    options.reduceOp = operation;
    return gloo_->allreduce(tensors, options);
  });
  return reduction;
}

// One tensor of each rank, all of one shape.
std::vector<at::Tensor> GlooGroup::gather_equal(const at::Tensor& tensor) {
  std::vector<std::vector<at::Tensor>> all(1);
  for (int64_t i = 0; i < size(); ++i) all[0].push_back(at::zeros_like(tensor));
  std::vector<at::Tensor> own = {tensor};
  const auto [number, work] = start([&] { return gloo_->allgather(all, own); });
  finish(number, work);
  return all[0];
}

at::Tensor GlooGroup::gather(const at::Tensor& tensor) {
  require(tensor.dim() >= 1 && tensor.dim() <= kMostDimensions,
          "gather: a tensor of {} dimensions",
          tensor.dim());
  // Type, number of dimensions and the sizes behind the first must agree; then comes the first.
  const at::Tensor form = at::zeros({kMostDimensions + 2}, at::kLong);
  auto* form_of_this = form.data_ptr<int64_t>();
  form_of_this[0] = static_cast<int64_t>(tensor.scalar_type());
  form_of_this[1] = tensor.dim();
  for (int64_t d = 1; d < tensor.dim(); ++d) form_of_this[1 + d] = tensor.size(d);
  form_of_this[kMostDimensions + 1] = tensor.size(0);
  std::vector<int64_t> rows;
  for (const at::Tensor& other : gather_equal(form)) {
    const auto* values = other.data_ptr<int64_t>();
    require(std::equal(values, values + kMostDimensions + 1, form_of_this),
            "gather: rank {} has tensors of another shape or type than rank {}",
            rows.size(),
            rank());
    rows.push_back(values[kMostDimensions + 1]);
  }
  const at::Tensor bytes = as_bytes(tensor);
  auto shape = tensor.sizes().vec();
  shape[0] = 1;
  int64_t row_bytes = static_cast<int64_t>(tensor.element_size());
  for (const int64_t d : shape) row_bytes *= d;
  const int64_t most = row_bytes * *std::max_element(rows.begin(), rows.end());
  shape[0] = 0;
  for (const int64_t n : rows) shape[0] += n;
  const at::Tensor together = at::zeros(shape, tensor.options().device(at::kCPU));
  if (most > 0) {
    const at::Tensor padded = at::zeros({most}, at::kByte);
    padded.narrow(0, 0, bytes.numel()).copy_(bytes);
    auto* to = static_cast<char*>(together.data_ptr());
    const auto parts = gather_equal(padded);
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto length = static_cast<size_t>(row_bytes * rows[i]);
      std::memcpy(to, parts[i].data_ptr(), length);
      to += length;
    }
  }
  return together.to(tensor.device());
}

void GlooGroup::broadcast(const at::Tensor& tensor, int64_t from) {
  require(from >= 0 && from < size(), "broadcast: from rank {} of {}", from, size());
  if (tensor.numel() == 0) return;
  const at::NoGradGuard no_grad;
  const at::Tensor whole = tensor.detach().to(at::kCPU).contiguous();
  std::vector<at::Tensor> tensors = {as_bytes(whole)};
  c10d::BroadcastOptions options;
  options.rootRank = from;
  const auto [number, work] = start([&] { return gloo_->broadcast(tensors, options); });
  finish(number, work);
  if (!whole.is_alias_of(tensor)) tensor.copy_(whole);
}

std::string GlooGroup::broadcast(const std::string& text) {
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
  return std::make_unique<GlooGroup>(place, options);
}

}  // namespace previt
