#include "models/kernels/weight_arena.h"
#include "models/kernels/weight_copy.h"
#include "support/called_operators.h"
#include "support/catch.h"

using namespace previt;
using namespace previt::test;

namespace {

std::vector<at::Tensor> random_weights() {
  torch::manual_seed(5);
  std::vector<at::Tensor> weights;
  for (const auto& sizes : std::vector<std::vector<int64_t>>{{7, 12}, {7}, {1, 3, 33}, {}, {16}}) {
    weights.push_back(torch::randn(sizes).requires_grad_());
  }
  return weights;
}

at::Tensor in_bf16(const at::Tensor& weight) { return weight.detach().to(torch::kBFloat16); }

// The whole memory that a tensor lies in.
at::Tensor memory_of(const at::Tensor& tensor) {
  const auto elements = static_cast<int64_t>(tensor.storage().nbytes()) / tensor.element_size();
  return tensor.detach().as_strided({elements}, {1}, 0);
}

}  // namespace

TEST_CASE("weights that move into an arena stay the tensors that they are") {
  const std::vector<at::Tensor> weights = random_weights(), same = random_weights();
  const std::vector<at::Tensor> handles = weights;
  const at::Tensor loss = weights[0].square().sum();  // a graph from before
  move_into_arena(weights);
  int64_t numbers = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(in_arena(weights[i]));
    CHECK(weights[i].is_same(handles[i]));
    CHECK(weights[i].requires_grad());
    CHECK(torch::equal(weights[i], same[i]));
    CHECK(weights[i].storage().is_alias_of(weights[0].storage()));
    CHECK(weights[i].storage_offset() % kArenaBoundary == 0);
    numbers += weights[i].numel();
  }
  loss.backward();
  CHECK(torch::equal(weights[0].grad(), 2 * same[0]));
  const at::Tensor all = memory_of(weights[0]);
  CHECK(all.numel() == 96 + 16 + 112 + 16 + 16);
  CHECK(all.count_nonzero().item<int64_t>() == numbers);  // zeros between them
}

TEST_CASE("weights stay outside an arena that are no plain memory of their own") {
  std::vector<at::Tensor> weights = random_weights();
  weights.push_back(weights[0]);                         // the same twice
  weights.push_back(weights[1].detach());                // both keep their memory
  weights.push_back(torch::randn({4, 5}).t());           // not contiguous
  weights.push_back(torch::zeros({3}, torch::kDouble));  // another type
  weights.push_back(torch::randn({8}).narrow(0, 2, 4));  // a part of another
  weights.push_back(torch::zeros({0}));
  move_into_arena(weights);
  const std::vector<bool> inside = {true, false, true, true, true, true};
  for (size_t i = 0; i < weights.size(); ++i) CHECK(in_arena(weights[i]) == (i < 6 && inside[i]));
  CHECK(weights[6].is_alias_of(weights[1]));
  CHECK(weights[2].storage_offset() == 96);
  move_into_arena(weights);  // again: they share their memory now
  CHECK(weights[2].storage_offset() == 96);
  CHECK_NOTHROW(move_into_arena({}));
}

TEST_CASE("all weights of an arena that changed are converted by one operator") {
  const std::vector<at::Tensor> weights = random_weights();
  move_into_arena(weights);
  std::vector<WeightCopy> copies(weights.size());
  // How many operators convert, and whether all copies are right.
  const auto conversions = [&] {
    const CalledOperators called;
    std::vector<at::Tensor> now;
    for (size_t i = 0; i < weights.size(); ++i) {
      now.push_back(copies[i].of(weights[i], torch::kBFloat16));
    }
    const int64_t count = called.count("aten::copy_");
    CHECK(called.count("aten::to") + called.count("aten::_to_copy") == 0);
    for (size_t i = 0; i < weights.size(); ++i) {
      CHECK(torch::equal(now[i], in_bf16(weights[i])));
      CHECK(now[i].sizes() == weights[i].sizes());
      CHECK_FALSE(now[i].requires_grad());
    }
    return count;
  };
  CHECK(conversions() == 1);
  CHECK(conversions() == 0);
  const torch::NoGradGuard no_grad;
  for (at::Tensor weight : weights) weight.add_(1);
  CHECK(conversions() == 1);
  at::Tensor(weights[2]).mul_(2);
  CHECK(conversions() == 1);
  static_cast<float*>(weights[0].data_ptr())[0] = 7;  // which no version counts
  WeightCopy::changed(weights[0]);
  CHECK(conversions() == 1);
}

TEST_CASE("copies in an arena are overwritten only where no graph needs them") {
  const std::vector<at::Tensor> weights = random_weights();
  move_into_arena(weights);
  const auto change = [&] {
    const torch::NoGradGuard no_grad;
    at::Tensor(weights[0]).add_(1);
  };
  const auto copy = [&](size_t i) { return copy_in_arena(weights[i], torch::kBFloat16); };
  const void* place = copy(0).data_ptr();
  change();
  CHECK(copy(0).data_ptr() == place);

  const bool by_alias = GENERATE(false, true);
  const at::Tensor before = in_bf16(weights[1]);
  const at::Tensor held = by_alias ? copy(1).alias() : copy(1);
  change();
  CHECK(torch::equal(copy(0), in_bf16(weights[0])));
  CHECK(copy(0).data_ptr() != place);
  CHECK(torch::equal(copy(1), before));
  CHECK(torch::equal(held, before));
  CHECK(torch::equal(copy_in_arena(weights[1], torch::kHalf), weights[1].to(torch::kHalf)));
}

TEST_CASE("what isn't a weight of an arena has no copy there") {
  const std::vector<at::Tensor> weights = random_weights();
  move_into_arena(weights);
  CHECK_FALSE(copy_in_arena(torch::ones({3}), torch::kBFloat16).defined());
  CHECK_FALSE(copy_in_arena(weights[0], torch::kFloat).defined());
  CHECK_FALSE(copy_in_arena(weights[0].detach(), torch::kBFloat16).defined());
  CHECK_FALSE(copy_in_arena(weights[0][1], torch::kBFloat16).defined());
  CHECK(copy_in_arena(weights[0], torch::kBFloat16).defined());
  at::Tensor moved = weights[0];
  moved.set_data(torch::full({7, 12}, 3.F));  // as Module::to does
  CHECK_FALSE(copy_in_arena(moved, torch::kBFloat16).defined());
  CHECK(torch::equal(copy_in_arena(weights[1], torch::kBFloat16), in_bf16(weights[1])));
}

TEST_CASE("an arena lives as long as one of its weights") {
  at::Tensor last;
  {
    const std::vector<at::Tensor> weights = random_weights();
    move_into_arena(weights);
    last = weights[4];
    CHECK(copy_in_arena(weights[0], torch::kBFloat16).defined());
  }
  const torch::NoGradGuard no_grad;
  last.fill_(2);
  CHECK(torch::equal(copy_in_arena(last, torch::kBFloat16), in_bf16(last)));
}

TEST_CASE("tensors are joined where they follow each other in every list") {
  const std::vector<at::Tensor> weights = random_weights();
  const auto sizes = [](const std::vector<std::vector<at::Tensor>>& runs) {
    std::vector<int64_t> all;
    for (const at::Tensor& run : runs.front()) all.push_back(run.numel());
    return all;
  };
  CHECK(sizes(joined({weights})) == std::vector<int64_t>{84, 7, 99, 1, 16});
  move_into_arena(weights);
  const std::vector<at::Tensor> copies = copies_like(weights);
  CHECK(sizes(joined({weights, copies})) == std::vector<int64_t>{256});
  CHECK(sizes(joined({weights, random_weights()})) == std::vector<int64_t>{84, 7, 99, 1, 16});
  const auto without = [](const std::vector<at::Tensor>& list) {
    return std::vector<at::Tensor>{list[0], list[1], list[3], list[4]};
  };
  CHECK(sizes(joined({without(weights), without(copies)})) ==
        std::vector<int64_t>{96 + 7, 16 + 16});
  CHECK(sizes(joined({{}, {}})).empty());
}

TEST_CASE("tensors of arenas are averaged by one operator, with the bits of many") {
  const std::vector<at::Tensor> weights = random_weights();
  std::vector<at::Tensor> expected;
  const torch::NoGradGuard no_grad;
  for (const at::Tensor& weight : weights) expected.push_back(weight.detach().cos());
  move_into_arena(weights);
  const std::vector<at::Tensor> averages = copies_like(weights);
  for (size_t i = 0; i < weights.size(); ++i) at::Tensor(averages[i]).cos_();
  std::vector<int64_t> versions;
  for (const at::Tensor& average : averages) versions.push_back(average._version());
  {
    const CalledOperators called;
    lerp_all(averages, weights, 0.3);
    CHECK(called.count("aten::lerp_") == 1);
    CHECK(called.count("aten::_foreach_lerp_") == 0);
  }
  std::vector<at::Tensor> ends;
  for (const at::Tensor& weight : random_weights()) ends.push_back(weight.detach());
  const CalledOperators called;
  lerp_all(expected, ends, 0.3);
  CHECK(called.count("aten::_foreach_lerp_") == 1);
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(torch::equal(averages[i], expected[i]));
    CHECK(averages[i]._version() > versions[i]);
  }
  CHECK(memory_of(averages[0]).count_nonzero().item<int64_t>() == 84 + 7 + 99 + 1 + 16);
}
