#pragma once

#include <torch/types.h>

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

#include "communicator.h"

namespace previt::test {

/// Ranks that are threads of one process, for what needs a Communicator but no processes. Of its
/// operations there are sum and broadcast of tensors.
class ThreadWorld {
 public:
  /// Runs `body` as each of `size` ranks at once. It must not throw, nor use Catch's macros.
  static void run(int64_t size, const std::function<void(Communicator&)>& body) {
    ThreadWorld world(size);
    std::vector<std::thread> threads;
    for (int64_t rank = 0; rank < size; ++rank) {
      threads.emplace_back([&world, &body, rank] {
        Rank own(world, rank);
        body(own);
      });
    }
    for (auto& thread : threads) thread.join();
  }

 private:
  explicit ThreadWorld(int64_t size) : tensors_(static_cast<size_t>(size)), barrier_(size) {}

  class Rank final : public Communicator {
   public:
    Rank(ThreadWorld& world, int64_t rank) : world_(world), rank_(rank) {}
    int64_t rank() const override { return rank_; }
    int64_t size() const override { return static_cast<int64_t>(world_.tensors_.size()); }
    std::unique_ptr<Pending> start_sum(const at::Tensor& tensor) override {
      exchange(tensor, [&] {
        at::Tensor total = world_.tensors_[0].clone();
        for (size_t i = 1; i < world_.tensors_.size(); ++i) total.add_(world_.tensors_[i]);
        return total;
      });
      return Communicator::start_sum(tensor);
    }
    void broadcast(const at::Tensor& tensor, int64_t from) override {
      exchange(tensor, [&] { return world_.tensors_[static_cast<size_t>(from)].clone(); });
    }
    using Communicator::broadcast;

   private:
    // Shows all ranks this tensor, and puts into it what `made` makes of all.
    void exchange(at::Tensor tensor, const std::function<at::Tensor()>& made) {
      world_.tensors_[static_cast<size_t>(rank_)] = tensor;
      world_.barrier_.arrive_and_wait();
      const at::Tensor result = made();
      world_.barrier_.arrive_and_wait();
      tensor.copy_(result);
    }

    ThreadWorld& world_;
    const int64_t rank_;
  };

  std::vector<at::Tensor> tensors_;
  std::barrier<> barrier_;
};

}  // namespace previt::test
