#include "commands/timed_communicator.h"

#include <ATen/ops/zeros.h>

#include <chrono>

namespace previt::cli {
namespace {

// Adds the seconds of its scope to a sum.
class Clock {
 public:
  explicit Clock(double& sum) : sum_(sum) {}
  ~Clock() {
    sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

 private:
  double& sum_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

class TimedSum final : public Pending {
 public:
  TimedSum(std::unique_ptr<Pending> inner, TimedCommunicator& by)
      : inner_(std::move(inner)), by_(by) {}
  void wait() override {
    const Clock clock(by_.waited_);
    inner_->wait();
  }

 private:
  std::unique_ptr<Pending> inner_;
  TimedCommunicator& by_;
};

std::unique_ptr<Pending> TimedCommunicator::start_sum(const at::Tensor& tensor) {
  sums_.emplace_back(tensor.numel(), tensor.options().requires_grad(false));
  return std::make_unique<TimedSum>(inner_.start_sum(tensor), *this);
}

void TimedCommunicator::max(const at::Tensor& tensor) {
  const Clock clock(waited_);
  inner_.max(tensor);
}

at::Tensor TimedCommunicator::gather(const at::Tensor& tensor) {
  const Clock clock(waited_);
  return inner_.gather(tensor);
}

void TimedCommunicator::broadcast(const at::Tensor& tensor, int64_t from) {
  const Clock clock(waited_);
  inner_.broadcast(tensor, from);
}

std::string TimedCommunicator::broadcast(const std::string& text) {
  const Clock clock(waited_);
  return inner_.broadcast(text);
}

void TimedCommunicator::barrier() {
  const Clock clock(waited_);
  inner_.barrier();
}

void TimedCommunicator::restart() {
  waited_ = 0;
  sums_.clear();
}

double TimedCommunicator::seconds_of_sums_alone() {
  std::vector<at::Tensor> tensors;
  for (const auto& [numbers, options] : sums_) tensors.push_back(at::zeros({numbers}, options));
  inner_.barrier();
  double seconds = 0;
  {
    const Clock clock(seconds);
    for (const at::Tensor& tensor : tensors) inner_.sum(tensor);
  }
  return seconds;
}

}  // namespace previt::cli
