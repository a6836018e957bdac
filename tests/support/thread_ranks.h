#pragma once

#include <torch/types.h>
#include <torch/utils.h>

#include <barrier>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "communicator.h"

namespace previt::test {

/// The ranks of a run as threads of this process, for what takes a Communicator.
class ThreadRanks {
 public:
  explicit ThreadRanks(int64_t size)
      : tensors_(static_cast<size_t>(size)), together_(static_cast<std::ptrdiff_t>(size)) {}

  /// Runs `work` once for each rank, at the same time. Throws what one of them throws.
  void run(const std::function<void(Communicator&)>& work) {
    std::vector<std::exception_ptr> failures(tensors_.size());
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < tensors_.size(); ++rank) {
      threads.emplace_back([&, rank] {
        Rank communicator(*this, rank);
        try {
          work(communicator);
        } catch (...) {
          failures[rank] = std::current_exception();
          together_.arrive_and_drop();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
  }

 private:
  class Rank final : public Communicator {
   public:
    Rank(ThreadRanks& ranks, size_t rank) : ranks_(ranks), rank_(rank) {}
    int64_t rank() const override { return static_cast<int64_t>(rank_); }
    int64_t size() const override { return static_cast<int64_t>(ranks_.tensors_.size()); }

    std::unique_ptr<Pending> start_sum(const at::Tensor& tensor) override {
      const torch::NoGradGuard no_grad;
      const auto all = ranks_.exchange(rank_, tensor);
      at::Tensor sum = all.front();
      for (size_t i = 1; i < all.size(); ++i) sum = sum + all[i];
      tensor.copy_(sum);
      return Communicator::start_sum(tensor);
    }
    void max(const at::Tensor& tensor) override {
      for (const at::Tensor& other : ranks_.exchange(rank_, tensor)) {
        tensor.copy_(at::maximum(tensor, other));
      }
    }
    at::Tensor gather(const at::Tensor& tensor) override {
      return at::cat(ranks_.exchange(rank_, tensor));
    }
    void broadcast(const at::Tensor& tensor, int64_t from) override {
      tensor.copy_(ranks_.exchange(rank_, tensor).at(static_cast<size_t>(from)));
    }
    std::string broadcast(const std::string& text) override {
      const auto bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
      std::copy(text.begin(), text.end(), bytes.mutable_data_ptr<uint8_t>());
      const at::Tensor first = ranks_.exchange(rank_, bytes).front();
      const auto* begin = first.const_data_ptr<uint8_t>();
      return {begin, begin + first.numel()};
    }
    void barrier() override { ranks_.together_.arrive_and_wait(); }

   private:
    ThreadRanks& ranks_;
    const size_t rank_;
  };

  // Copies of all ranks' tensors.
  std::vector<at::Tensor> exchange(size_t rank, const at::Tensor& own) {
    tensors_[rank] = own.detach().clone();
    together_.arrive_and_wait();
    std::vector<at::Tensor> all = tensors_;
    together_.arrive_and_wait();
    return all;
  }

  std::vector<at::Tensor> tensors_;
  std::barrier<> together_;
};

}  // namespace previt::test
