#pragma once

#include <memory>
#include <vector>

#include "communicator.h"
#include "pretrain/train/optimizer.h"

namespace previt {

/// Which rank keeps the state of each parameter, given their sizes: the largest first, each goes to
/// the rank that has the least so far. Equal on all ranks.
std::vector<int64_t> divide_by_size(const std::vector<int64_t>& sizes, int64_t ranks);

/// An optimizer whose state is divided over the ranks by whole parameters (ZeRO-1, Rajbhandari et
/// al. 2020, arXiv:1910.02054). Each rank updates its own parameters by the optimizer that
/// options.name asks for, and sends them to the others. All ranks need all gradients, which are
/// equal; the weights then equal the undivided optimizer's bit for bit.
///
/// step() and state() are collective: all ranks call them in the same order.
class ShardedOptimizer final : public Optimizer {
 public:
  /// `communicator` must live as long as this.
  ShardedOptimizer(Communicator& communicator,
                   const OptimizerOptions& options,
                   std::vector<TrainedParameter> parameters);

  std::vector<Slot> slots() const override { return own_->slots(); }
  bool leaves_out() const override { return own_->leaves_out(); }

  /// On rank 0 the state of all parameters, as the undivided optimizer has it; on the others that
  /// of their own. What other ranks keep comes in main memory; the rest is shared.
  NamedTensors state() const override;
  /// Takes the state of all parameters, whoever saved it, and keeps its own part.
  void load_state(const NamedTensors& state) override;

 private:
  struct Sent;
  void make_step(double lr, double weight_decay, const at::Tensor& made) override;
  // What all ranks must know of the state that `rank` keeps, to have it sent to rank 0.
  std::vector<Sent> state_of(int64_t rank, NamedTensors& all) const;
  void send(const std::vector<Sent>& tensors, int64_t from) const;
  bool is_mine(size_t i) const { return owners_[i] == communicator_.rank(); }

  Communicator& communicator_;
  std::vector<int64_t> owners_;
  std::vector<bool> has_state_;  // parameters that had a gradient once, on whichever rank
  std::unique_ptr<Optimizer> own_;
};

}  // namespace previt
