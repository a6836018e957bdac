#include "pretrain/train/gradient_sum.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "progress.h"

namespace previt {
namespace {

constexpr int64_t kBoundary = 16;  // elements: a cache line of float32

int64_t padded(int64_t elements) { return (elements + kBoundary - 1) / kBoundary * kBoundary; }

}  // namespace

/// Called by autograd when it has added to a parameter's gradient.
class GradientSum::Arrival final : public torch::autograd::PostAccumulateGradHook {
 public:
  Arrival(GradientSum& sum, size_t parameter) : sum_(sum), parameter_(parameter) {}
  void operator()(const torch::autograd::Variable&) override { sum_.arrived(parameter_); }

 private:
  GradientSum& sum_;
  const size_t parameter_;
};

GradientSum::GradientSum(std::vector<at::Tensor> parameters, int64_t bucket_bytes)
    : ranks_(world()) {
  std::reverse(parameters.begin(), parameters.end());
  for (auto& parameter : parameters) parameters_.push_back({.tensor = parameter, .sum = {}});
  make_buckets(bucket_bytes);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameters_[i].tensor,
                                                   std::make_unique<Arrival>(*this, i));
  }
}

GradientSum::~GradientSum() {
  for (const Parameter& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter.tensor, nullptr);
  }
}

void GradientSum::make_buckets(int64_t bucket_bytes) {
  const torch::NoGradGuard no_grad;
  for (size_t first = 0; first < parameters_.size();) {
    const auto options = parameters_[first].tensor.options().requires_grad(false);
    const int64_t most = bucket_bytes / static_cast<int64_t>(options.dtype().itemsize());
    int64_t elements = 0;
    size_t last = first;
    for (; last < parameters_.size(); ++last) {
      const at::Tensor& tensor = parameters_[last].tensor;
      const bool fits = elements == 0 || elements + tensor.numel() <= most;
      if (!fits || tensor.dtype() != options.dtype() || tensor.device() != options.device()) break;
      elements += padded(tensor.numel());
    }
    buckets_.push_back({.flat = torch::zeros({elements}, options), .first = first, .last = last});
    int64_t at = 0;
    for (; first < last; ++first) {
      Parameter& parameter = parameters_[first];
      const int64_t size = parameter.tensor.numel();
      parameter.sum = buckets_.back().flat.slice(0, at, at + size).view(parameter.tensor.sizes());
      parameter.bucket = buckets_.size() - 1;
      at += padded(size);
    }
  }
}

void GradientSum::begin_backward(bool last) {
  sending_ = last;
  next_ = 0;
  first_sent_ = {};
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  for (Parameter& parameter : parameters_) {
    parameter.arrivals = 0;
    parameter.sent = -1;
    if (parameter.expected != 0) ++buckets_[parameter.bucket].missing;
  }
}

void GradientSum::arrived(size_t i) {
  Parameter& parameter = parameters_[i];
  ++parameter.arrivals;
  if (parameter.arrivals != parameter.expected) return;
  --buckets_[parameter.bucket].missing;
  send_whole();
}

// Always in the same order, or the ranks would add up different buckets.
void GradientSum::send_whole() {
  while (sending_ && next_ < buckets_.size() && buckets_[next_].missing == 0) {
    send(buckets_[next_++]);
  }
}

void GradientSum::send(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  if (first_sent_ == Clock::time_point()) first_sent_ = Clock::now();
  for (size_t i = bucket.first; i < bucket.last; ++i) {
    Parameter& parameter = parameters_[i];
    const at::Tensor& gradient = parameter.tensor.grad();
    gradient.defined() ? parameter.sum.copy_(gradient) : parameter.sum.zero_();
    parameter.sent = parameter.arrivals;
  }
  traffic_.bytes += static_cast<int64_t>(bucket.flat.nbytes());
  bucket.pending = ranks_.start_sum(bucket.flat);
}

void GradientSum::wait_for_all() {
  const auto start = Clock::now();
  for (Bucket& bucket : buckets_) {
    if (const auto pending = std::exchange(bucket.pending, nullptr)) pending->wait();
  }
  traffic_.exposed += seconds_since(start);
}

// Of each parameter whether it has a gradient here, of each bucket whether it went too early.
at::Tensor GradientSum::flags() const {
  std::vector<double> flags;
  for (const Parameter& parameter : parameters_) {
    flags.push_back(parameter.tensor.grad().defined() ? 1 : 0);
  }
  for (const Bucket& bucket : buckets_) {
    bool early = false;
    for (size_t i = bucket.first; i < bucket.last; ++i) {
      early = early || parameters_[i].sent != parameters_[i].arrivals;
    }
    flags.push_back(early ? 1 : 0);
  }
  return torch::tensor(flags, torch::kFloat64);
}

void GradientSum::take_over(const at::Tensor& flags) {
  const double* of_parameter = flags.const_data_ptr<double>();
  const double* of_bucket = of_parameter + parameters_.size();
  for (size_t i = 0; i < buckets_.size(); ++i) {
    if (of_bucket[i] > 0) send(buckets_[i]);
  }
  wait_for_all();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    if (of_parameter[i] > 0) parameter.tensor.mutable_grad() = parameter.sum;
    parameter.expected = parameter.arrivals;
  }
}

void GradientSum::finish(const at::Tensor& numbers) {
  sending_ = false;
  while (next_ < buckets_.size()) send(buckets_[next_++]);
  // First the numbers, which go over connections that tell of a rank that is gone.
  const auto start = Clock::now();
  const at::Tensor all = torch::cat({numbers, flags()});
  ranks_.sum(all);
  traffic_.exposed += seconds_since(start);
  wait_for_all();
  numbers.copy_(all.slice(0, 0, numbers.numel()));
  take_over(all.slice(0, numbers.numel()));
  traffic_.seconds += seconds_since(first_sent_);
}

}  // namespace previt
