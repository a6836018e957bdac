#include <torch/types.h>

#include "pretrain/collapse.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/losses/sinkhorn.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;
using previt::test::ThreadRanks;

namespace {

// What each rank gets from `work`.
std::vector<at::Tensor> on_ranks(int64_t size,
                                 const std::function<at::Tensor(Communicator&)>& work) {
  std::vector<at::Tensor> results(static_cast<size_t>(size));
  ThreadRanks(size).run(
      [&](Communicator& all) { results[static_cast<size_t>(all.rank())] = work(all); });
  return results;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("Sinkhorn-Knopp over the ranks' rows is that of all rows at once") {
  torch::manual_seed(1);
  const at::Tensor logits = torch::randn({13, 7});
  const int64_t cut = GENERATE(1, 6);  // ranks may have different numbers of rows
  const std::vector<at::Tensor> parts = {logits.slice(0, 0, cut), logits.slice(0, cut)};
  const auto got = on_ranks(2, [&](Communicator& all) {
    return sinkhorn_knopp(parts[static_cast<size_t>(all.rank())], 0.07, 3, all);
  });
  CHECK(relative_difference(torch::cat(got), sinkhorn_knopp(logits, 0.07)) < 1e-6);
  // Not each for itself.
  CHECK(relative_difference(got[1], sinkhorn_knopp(parts[1], 0.07)) > 1e-3);
}

TEST_CASE("a mean of rows is that of all ranks, to the bit of two micro-batches for two ranks") {
  torch::manual_seed(2);
  const at::Tensor first = torch::randn({5, 9}), second = torch::randn({5, 9});
  RowMean one;
  one.add(first);
  one.add(second);
  const auto means = on_ranks(2, [&](Communicator& all) {
    RowMean own;
    own.add(all.leads() ? first : second);
    const at::Tensor mean = own.mean(all);
    return torch::equal(mean, own.mean(all)) ? mean : at::Tensor();  // asking changes nothing
  });
  for (const at::Tensor& mean : means) {
    REQUIRE(mean.defined());
    CHECK(torch::equal(mean, one.mean()));
  }
}

TEST_CASE("what shows a collapse is about the images of all ranks") {
  torch::manual_seed(3);
  const int64_t micro_steps = 4;
  std::vector<at::Tensor> targets, features;
  for (int64_t i = 0; i < micro_steps; ++i) {
    targets.push_back((3 * torch::randn({4, 6})).softmax(1));
    features.push_back(torch::randn({4, 5}));
  }
  // The metrics that the last micro-step gives, by micro-steps `first`, `first + by`, ...
  const auto last = [&](int64_t first, Communicator& all) {
    CollapseMetrics metrics;
    std::map<std::string, double> values;
    for (int64_t i = first; i < micro_steps; i += all.size()) {
      const StepInfo info{.step = 0,
                          .total_steps = 10,
                          .steps_per_epoch = 5,
                          .epochs = 2,
                          .micro_step = i,
                          .accumulation = micro_steps};
      const auto place = static_cast<size_t>(i);
      values.clear();
      for (const auto& [name, value] :
           metrics.add(torch::tensor(2.0), targets[place], features[place], info, all)) {
        values[name] = value.item<double>();
      }
    }
    return values;
  };
  const auto alone = last(0, world());
  std::vector<std::map<std::string, double>> got(2);
  ThreadRanks(2).run(
      [&](Communicator& all) { got[static_cast<size_t>(all.rank())] = last(all.rank(), all); });
  for (const auto& values : got) {
    for (const char* name : {"top_prototype", "feature_spread", "feature_rank"}) {
      CHECK(values.at(name) == Approx(alone.at(name)).epsilon(1e-6));
      CHECK(values.at(name) == got.front().at(name));
    }
  }
}
