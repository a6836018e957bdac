#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "communicator.h"

namespace previt::test {

/// One of several ranks, in a process by itself. `others` says what the others add to a tensor, and
/// `first` makes of a tensor what rank 0 gives them.
class FakeRanks final : public Communicator {
 public:
  using Others = std::function<at::Tensor(const at::Tensor& own)>;
  using First = std::function<void(const at::Tensor&)>;
  FakeRanks(int64_t rank, int64_t size, Others others, First first)
      : rank_(rank), size_(size), others_(std::move(others)), first_(std::move(first)) {}

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  std::unique_ptr<Pending> start_sum(const at::Tensor& tensor) override {
    const torch::NoGradGuard no_grad;
    sent.push_back(tensor.clone());
    tensor.add_(others_(sent.back()));
    return Communicator::start_sum(tensor);
  }
  using Communicator::broadcast;
  void broadcast(const at::Tensor& tensor, int64_t) override {
    if (first_) first_(tensor);
  }
  at::Tensor gather(const at::Tensor& tensor) override {
    return torch::cat(std::vector<at::Tensor>(static_cast<size_t>(size_), tensor));
  }

  void count_busy(int64_t change) override { busy += change; }

  std::vector<at::Tensor> sent;  ///< to be summed, in order
  int64_t busy = 0;              ///< Busy objects

 private:
  int64_t rank_, size_;
  Others others_;
  First first_;
};

/// The others have nothing to add.
inline at::Tensor zeros(const at::Tensor& own) { return torch::zeros_like(own); }
/// One other rank that has the same.
inline at::Tensor same_again(const at::Tensor& own) { return own; }

/// A world of `size` ranks, of which this process is one, while it lives.
class FakeWorld {
 public:
  FakeWorld(int64_t rank,
            int64_t size,
            FakeRanks::Others others = zeros,
            FakeRanks::First first = {})
      : ranks_(new FakeRanks(rank, size, std::move(others), std::move(first))),
        joined_(std::unique_ptr<Communicator>(ranks_)) {}
  const std::vector<at::Tensor>& sent() const { return ranks_->sent; }
  int64_t busy() const { return ranks_->busy; }

 private:
  FakeRanks* ranks_;
  JoinedWorld joined_;
};

}  // namespace previt::test
