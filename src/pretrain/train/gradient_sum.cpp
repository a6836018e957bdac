#include "pretrain/train/gradient_sum.h"

#include <ATen/ops/_foreach_copy.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "clocks.h"
#include "models/kernels/weight_arena.h"

namespace previt {

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
  for (Bucket& bucket : buckets_) {
    bucket.missing = 0;
    bucket.sent = false;
  }
  for (Parameter& parameter : parameters_) {
    parameter.arrivals = 0;
    if (parameter.expected != 0) ++buckets_[parameter.bucket].missing;
  }
}

void GradientSum::arrived(size_t i) {
  Parameter& parameter = parameters_[i];
  Bucket& bucket = buckets_[parameter.bucket];
  ++parameter.arrivals;
  if (bucket.sent) return;  // what comes now goes by itself
  // While the cache still has it. On a device, where each copy has its price, the whole bucket's go
  // together.
  if (parameter.tensor.is_cpu()) put_into_bucket(i, i + 1);
  if (parameter.arrivals != parameter.expected) return;
  --bucket.missing;
  send_whole();
}

// Always in the same order, or the ranks would add up different buckets.
void GradientSum::send_whole() {
  while (sending_ && next_ < buckets_.size() && buckets_[next_].missing == 0) {
    send(buckets_[next_++]);
  }
}

// From there on, autograd adds to them in the bucket.
void GradientSum::put_into_bucket(size_t first, size_t last) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> sums, gradients;
  for (; first < last; ++first) {
    const Parameter& parameter = parameters_[first];
    at::Tensor& gradient = parameter.tensor.mutable_grad();
    if (!gradient.defined() || gradient.is_same(parameter.sum)) continue;
    sums.push_back(parameter.sum);
    gradients.push_back(std::exchange(gradient, parameter.sum));
  }
  if (!sums.empty()) at::_foreach_copy_(sums, gradients);
}

// What comes for its parameters later must not touch it, so they have no gradients until the end.
void GradientSum::send(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  if (first_sent_ == Clock::time_point()) first_sent_ = Clock::now();
  put_into_bucket(bucket.first, bucket.last);
  for (size_t i = bucket.first; i < bucket.last; ++i) {
    Parameter& parameter = parameters_[i];
    parameter.sent = parameter.tensor.grad().defined();
    if (!parameter.sent) parameter.sum.zero_();
    parameter.tensor.mutable_grad().reset();
  }
  bucket.sent = true;
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
  std::vector<double> of_parameters, of_buckets(buckets_.size());
  for (const Parameter& parameter : parameters_) {
    const bool late = parameter.tensor.grad().defined();
    of_parameters.push_back(parameter.sent || late ? 1 : 0);
    if (late) of_buckets[parameter.bucket] = 1;
  }
  of_parameters.insert(of_parameters.end(), of_buckets.begin(), of_buckets.end());
  return torch::tensor(of_parameters, torch::kFloat64);
}

// Adds what came when the bucket had gone.
void GradientSum::add_late(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  const at::Tensor late = torch::zeros_like(bucket.flat);
  for (size_t i = bucket.first; i < bucket.last; ++i) {
    const at::Tensor &gradient = parameters_[i].tensor.grad(), &sum = parameters_[i].sum;
    if (!gradient.defined()) continue;
    late.narrow(0, sum.storage_offset(), sum.numel()).view(sum.sizes()).copy_(gradient);
  }
  traffic_.bytes += static_cast<int64_t>(late.nbytes());
  ranks_.sum(late);
  bucket.flat.add_(late);
}

void GradientSum::take_over(const at::Tensor& flags) {
  const double* of_parameter = flags.const_data_ptr<double>();
  const double* of_bucket = of_parameter + parameters_.size();
  for (size_t i = 0; i < buckets_.size(); ++i) {
    if (of_bucket[i] > 0) add_late(buckets_[i]);
  }
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
