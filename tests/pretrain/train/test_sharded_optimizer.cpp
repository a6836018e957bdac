#include <mutex>

#include "error.h"
#include "pretrain/train/sharded_optimizer.h"
#include "support/catch.h"
#include "support/same_tensors.h"
#include "support/thread_ranks.h"

using namespace previt;
using previt::test::ThreadRanks;

namespace {

using Parameters = std::vector<TrainedParameter>;

Parameters parameters() {
  torch::manual_seed(3);
  Parameters list;
  for (const auto& [name, rows] : {std::pair{"a", 5}, {"b", 64}, {"c", 7}, {"d", 40}, {"e", 1}}) {
    const at::Tensor tensor = torch::randn({rows, 3}).requires_grad_();
    list.push_back({name, tensor, {.lr_scale = rows == 7 ? 0.5 : 1, .decay = rows != 5}});
  }
  list.push_back({"bias", torch::randn({9}).requires_grad_(), {.lr_scale = 1, .decay = false}});
  list.push_back({"scalar", torch::randn({}).requires_grad_(), {}});
  return list;
}

// Gradients that all ranks have, equal by step; in the first step `c` has none, and `e` never.
void set_gradients(Parameters& list, int64_t step) {
  for (size_t i = 0; i < list.size(); ++i) {
    at::Tensor gradient = torch::sin(torch::arange(list[i].tensor.numel()) * (1.7 + i) + step);
    gradient = gradient.to(at::kFloat).view(list[i].tensor.sizes());
    const bool has = list[i].name != "e" && (list[i].name != "c" || step > 0);
    list[i].tensor.mutable_grad() = has ? gradient : at::Tensor();
  }
}

void make_steps(Optimizer& optimizer, Parameters& list, int64_t from, int64_t to) {
  for (int64_t step = from; step < to; ++step) {
    set_gradients(list, step);
    optimizer.step(0.1, 0.05);
  }
}

NamedTensors weights(const Parameters& list) {
  NamedTensors named;
  for (const auto& p : list) named[p.name] = p.tensor.detach().clone();
  return named;
}

NamedTensors copied(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.clone();
  return copies;
}

int64_t bytes(const NamedTensors& tensors) {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += static_cast<int64_t>(tensor.nbytes());
  return sum;
}

}  // namespace

TEST_CASE("parameters are divided so that all ranks have about as much") {
  CHECK(divide_by_size({}, 3).empty());
  CHECK(divide_by_size({4, 9, 2}, 1) == std::vector<int64_t>{0, 0, 0});
  // 9 | 8 | 7, then 6 to the third, 5 to the second, 4 to the first: 13 each.
  CHECK(divide_by_size({4, 5, 6, 7, 8, 9}, 3) == std::vector<int64_t>{0, 1, 2, 2, 1, 0});
  CHECK(divide_by_size({1, 1}, 3) == std::vector<int64_t>{0, 1});
}

TEST_CASE("a divided optimizer gives the undivided one's bits, and its checkpoint") {
  OptimizerOptions options;
  options.name = GENERATE(OptimizerKind::adamw, OptimizerKind::sgd, OptimizerKind::lars);
  const auto ranks = static_cast<size_t>(GENERATE(2, 3, 9));  // with 9, some have no parameter

  Parameters alone = parameters();
  const auto undivided = make_optimizer(options, alone);
  make_steps(*undivided, alone, 0, 3);
  const NamedTensors state = copied(undivided->state());
  const NamedTensors before = weights(alone);
  make_steps(*undivided, alone, 3, 5);

  std::vector<NamedTensors> first(ranks), states(ranks), last(ranks);
  ThreadRanks(static_cast<int64_t>(ranks)).run([&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    Parameters own;
    {
      static std::mutex seeding;  // all ranks draw from one generator
      const std::scoped_lock lock(seeding);
      own = parameters();
    }
    ShardedOptimizer optimizer(communicator, options, own);
    make_steps(optimizer, own, 0, 3);
    first[rank] = weights(own);
    states[rank] = copied(optimizer.state());
    make_steps(optimizer, own, 3, 5);
    last[rank] = weights(own);
  });
  check_same_tensors(states[0], state);
  int64_t sum = 0;
  for (size_t rank = 0; rank < ranks; ++rank) {
    check_same_tensors(first[rank], before);
    check_same_tensors(last[rank], weights(alone));
    if (rank > 0) sum += bytes(states[rank]);
    if (rank > 0) CHECK(bytes(states[rank]) < bytes(state));
  }
  CHECK(sum < bytes(state));  // what the others keep is kept once
}

TEST_CASE("a divided optimizer goes on from any number of ranks' checkpoint") {
  OptimizerOptions options;
  Parameters alone = parameters();
  const auto undivided = make_optimizer(options, alone);
  make_steps(*undivided, alone, 0, 2);
  const NamedTensors state = copied(undivided->state()), start = weights(alone);
  make_steps(*undivided, alone, 2, 4);

  std::vector<NamedTensors> states(2), ends(2);
  ThreadRanks(2).run([&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    Parameters own;
    for (const auto& p : alone) {
      own.push_back({p.name, start.at(p.name).clone().requires_grad_(), p.rule});
    }
    ShardedOptimizer optimizer(communicator, options, own);
    optimizer.load_state(state);
    states[rank] = copied(optimizer.state());
    make_steps(optimizer, own, 2, 4);
    ends[rank] = weights(own);
  });
  check_same_tensors(states[0], state);
  check_same_tensors(ends[0], weights(alone));
  check_same_tensors(ends[1], weights(alone));
}

TEST_CASE("a divided optimizer refuses a state of other parameters on every rank") {
  OptimizerOptions options;
  options.name = OptimizerKind::sgd;
  std::vector<std::string> told(2);
  const auto refusal = [&](const NamedTensors& state) {
    ThreadRanks(2).run([&](Communicator& communicator) {
      Parameters own = {{"w", torch::ones({2}), {}}, {"v", torch::ones({3}), {}}};
      ShardedOptimizer optimizer(communicator, options, own);
      try {
        optimizer.load_state(state);
      } catch (const Error& error) {
        told[static_cast<size_t>(communicator.rank())] = error.what();
      }
    });
  };
  refusal({{"momentum.w", torch::ones({5})}});
  CHECK(told[0].find("momentum.w: shape") != std::string::npos);
  CHECK(told[1] == told[0]);
  refusal({{"momentum.x", torch::ones({5})}});
  CHECK(told[0].find("1 of 1 tensors belong to no parameter") != std::string::npos);
  CHECK(told[1] == told[0]);
}

TEST_CASE("updates from other ranks are seen by whoever keeps copies of the weights") {
  OptimizerOptions options;
  std::vector<int> newer(2);
  ThreadRanks(2).run([&](Communicator& communicator) {
    Parameters own = {{"w", torch::ones({2}).requires_grad_(), {}},
                      {"v", torch::ones({3}).requires_grad_(), {}}};
    ShardedOptimizer optimizer(communicator, options, own);
    std::vector<int64_t> versions;
    for (auto& p : own) {
      p.tensor.mutable_grad() = torch::ones_like(p.tensor);
      versions.push_back(p.tensor._version());
    }
    optimizer.step(0.1, 0);
    for (size_t i = 0; i < own.size(); ++i) {
      newer[static_cast<size_t>(communicator.rank())] += own[i].tensor._version() > versions[i];
    }
  });
  CHECK(newer == std::vector<int>{2, 2});
}
