#include "pretrain/train/sharded_optimizer.h"

#include <torch/types.h>

#include <algorithm>
#include <numeric>

namespace previt {
namespace {

constexpr int64_t kPiece = 25 << 20;  // bytes that are sent at once, unless one tensor has more

std::vector<int64_t> owners_of(const std::vector<TrainedParameter>& parameters, int64_t ranks) {
  std::vector<int64_t> sizes;
  for (const TrainedParameter& parameter : parameters) sizes.push_back(parameter.tensor.numel());
  return divide_by_size(sizes, ranks);
}

}  // namespace

std::vector<int64_t> divide_by_size(const std::vector<int64_t>& sizes, int64_t ranks) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(
      order.begin(), order.end(), [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<int64_t> owners(sizes.size()), held(static_cast<size_t>(ranks));
  for (const size_t i : order) {
    const auto least = std::min_element(held.begin(), held.end());
    *least += sizes[i];
    owners[i] = least - held.begin();
  }
  return owners;
}

// A tensor that goes from one rank to others.
struct ShardedOptimizer::Sent {
  at::Tensor like;   // has its number of elements and type on all ranks, its values on the sender
  at::Tensor taken;  // where a receiver puts it; undefined: it is not needed
};

ShardedOptimizer::ShardedOptimizer(Communicator& communicator,
                                   const OptimizerOptions& options,
                                   std::vector<TrainedParameter> parameters)
    : Optimizer(std::move(parameters)),
      communicator_(communicator),
      owners_(owners_of(this->parameters(), communicator.size())),
      has_state_(this->parameters().size()) {
  std::vector<TrainedParameter> mine;
  for (size_t i = 0; i < owners_.size(); ++i) {
    if (is_mine(i)) mine.push_back(this->parameters()[i]);
  }
  own_ = make_optimizer(options, std::move(mine));
}

void ShardedOptimizer::make_step(double lr, double weight_decay, const at::Tensor& made) {
  own_->step(lr, weight_decay, made);
  for (int64_t rank = 0; rank < communicator_.size(); ++rank) {
    std::vector<Sent> updated;
    for (size_t i = 0; i < owners_.size(); ++i) {
      const at::Tensor& tensor = parameters()[i].tensor;
      if (owners_[i] != rank || !tensor.grad().defined()) continue;
      has_state_[i] = true;
      updated.push_back({tensor.detach(), tensor.detach()});
    }
    send(updated, rank);
  }
}

// Small tensors go together, as each operation has its price.
void ShardedOptimizer::send(const std::vector<Sent>& tensors, int64_t from) const {
  const bool sends = communicator_.rank() == from;
  for (size_t begin = 0, end = 0; begin < tensors.size(); begin = end) {
    const auto options = tensors[begin].like.options();
    std::vector<at::Tensor> flat;
    int64_t numbers = 0, bytes = 0;
    for (; end < tensors.size() && tensors[end].like.scalar_type() == options.dtype(); ++end) {
      bytes += static_cast<int64_t>(tensors[end].like.nbytes());
      if (end > begin && bytes > kPiece) break;
      numbers += tensors[end].like.numel();
      if (sends) flat.push_back(tensors[end].like.reshape({-1}));
    }
    const at::Tensor piece = sends ? torch::cat(flat) : torch::empty({numbers}, options);
    communicator_.broadcast(piece, from);
    if (sends) continue;
    for (size_t i = begin, at = 0; i < end; at += tensors[i].like.numel(), ++i) {
      if (!tensors[i].taken.defined()) continue;
      const auto first = static_cast<int64_t>(at);
      // copy_ counts as a new version, so that copies of a weight are made anew.
      at::Tensor(tensors[i].taken)
          .copy_(
              piece.slice(0, first, first + tensors[i].like.numel()).view(tensors[i].like.sizes()));
    }
  }
}

NamedTensors ShardedOptimizer::state() const {
  NamedTensors all = own_->state();
  for (int64_t rank = 1; rank < communicator_.size(); ++rank) send(state_of(rank, all), rank);
  return all;
}

std::vector<ShardedOptimizer::Sent> ShardedOptimizer::state_of(int64_t rank,
                                                               NamedTensors& all) const {
  std::vector<Sent> sent;
  for (size_t i = 0; i < owners_.size(); ++i) {
    if (owners_[i] != rank || !has_state_[i]) continue;
    const at::Tensor weight = parameters()[i].tensor.detach();
    for (const Slot& slot : slots()) {
      const std::string name = state_name(slot, parameters()[i]);
      const at::Tensor like = slot.scalar ? torch::zeros({}, weight.options()) : weight;
      if (communicator_.rank() == rank) {
        sent.push_back({all.at(name), {}});
      } else if (communicator_.leads()) {
        // In main memory, as a device may have no room for what the ranks share.
        sent.push_back({like, all[name] = torch::empty_like(like, at::Device(at::kCPU))});
      } else {
        sent.push_back({like, {}});
      }
    }
  }
  return sent;
}

void ShardedOptimizer::load_state(const NamedTensors& state) {
  require_fits(state);  // on every rank, so that all fail where one would
  NamedTensors mine;
  for (size_t i = 0; i < owners_.size(); ++i) {
    for (const Slot& slot : slots()) {
      const auto saved = state.find(state_name(slot, parameters()[i]));
      if (saved == state.end()) continue;
      has_state_[i] = true;
      if (is_mine(i)) mine.insert(*saved);
    }
  }
  own_->load_state(mine);
}

}  // namespace previt
