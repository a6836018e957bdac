#include <cmath>
#include <nlohmann/json.hpp>

#include "error.h"
#include "finetune/probes/linear_probe.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/fake_ranks.h"
#include "support/thread_ranks.h"

using namespace previt;

namespace {

VitOptions model_of(int64_t width, int64_t depth) {
  VitOptions options;
  options.embed_dim = width;
  options.depth = depth;
  options.num_heads = 2;
  return options;
}

LinearProbeOptions read(const std::string& yaml, const VitOptions& model) {
  Recipe recipe = Recipe::parse(yaml, "probe");
  return LinearProbeOptions::read(recipe, model);
}

// Four classes that one block's features tell and the other's don't.
LabelledFeatures two_blocks(int64_t images, uint64_t seed) {
  torch::manual_seed(seed);
  const at::Tensor labels = torch::arange(images) % 4;
  const at::Tensor told = torch::eye(4, 6).index_select(0, labels) * 2;
  return {torch::cat({torch::randn({images, 6}), told + 0.3 * torch::randn({images, 6})}, 1),
          labels};
}

}  // namespace

TEST_CASE("each protocol has its official settings") {
  const LinearProbeOptions small = read("", model_of(384, 12));
  CHECK(small.features.tokens == FeatureTokens::cls);
  CHECK(small.features.blocks == 4);
  CHECK(small.lrs.front() == 0.001);
  CHECK(small.optimizer == OptimizerKind::sgd);
  CHECK(read("", model_of(768, 12)).features.tokens == FeatureTokens::cls_mean);
  CHECK(read("", model_of(24, 2)).features.blocks == 2);
  const LinearProbeOptions mae = read("protocol: mae", model_of(768, 12));
  CHECK(mae.batch_norm);
  CHECK(mae.optimizer == OptimizerKind::lars);
  CHECK(mae.epochs == 90);
  CHECK(mae.batch_for(1281167) == 16384);
  const LinearProbeOptions beit = read("{protocol: beit, epochs: 3}", model_of(768, 12));
  CHECK(beit.per_block);
  CHECK(beit.features.blocks == 12);
  CHECK_FALSE(beit.features.normed);
  CHECK(beit.epochs == 3);
  CHECK(small.batch_for(1281167) == 1024);
  CHECK(small.batch_for(200) == 20);
  CHECK(small.batch_for(15) == 1);
  CHECK(mae.batch_for(15) == 2);  // for BatchNorm
}

TEST_CASE("settings of a linear probe that can't be are refused") {
  const auto refuse = [](const std::string& yaml, const std::string& part) {
    CHECK_THROWS_WITH(read(yaml, model_of(24, 2)), ContainsSubstring(part));
  };
  refuse("blocks: 3", "blocks: 3: the model has 2");
  refuse("tokens: patches", "patches are not one feature");
  refuse("protocol: moco", "moco");
  refuse("lr: 0.1", "did you mean lrs?");
  refuse("lrs: []", "at least one rate");
  refuse("{protocol: mae, batch: 1}", "batch: 1: BatchNorm needs two images");
}

TEST_CASE("several rates and blocks are trained at once and the telling one stands out") {
  const auto optimizer = GENERATE(OptimizerKind::sgd, OptimizerKind::lars, OptimizerKind::adamw);
  LinearProbeOptions options = read("{protocol: beit, epochs: 20, batch: 32}", model_of(3, 2));
  options.lrs = {1e-9, 0.5};
  options.optimizer = optimizer;
  if (optimizer == OptimizerKind::lars) options.lrs[1] = 64;  // steps are relative to the weight
  if (optimizer == OptimizerKind::adamw) options.lrs[1] = 0.2;
  LinearProbe probe(options, 12, 4);
  REQUIRE(probe.candidates().size() == 4);
  const LabelledFeatures train = two_blocks(320, 1), test = two_blocks(80, 2);
  int64_t epochs = 0;
  double last = 0;
  probe.train([&](int64_t) { return train; },
              [&](int64_t, double loss) {
                ++epochs;
                last = loss;
              });
  CHECK(epochs == 20);
  CHECK(std::isfinite(last));
  const auto scores = probe.evaluate(test);
  CHECK(probe.candidates()[3].block == 1);
  CHECK(scores[3].top1() > 90);                     // the telling block at a rate that learns
  CHECK(scores[3].top1() > scores[1].top1() + 30);  // the other block
  CHECK(scores[3].loss() < scores[2].loss());       // the rate that learns nothing
  CHECK(scores[3].images() == 80);
}

TEST_CASE("ranks share the classifiers, and all get those of one process") {
  LinearProbeOptions options = read("{epochs: 3, batch: 16, batch_norm: true}", model_of(12, 1));
  options.lrs = {0.03, 0.1, 0.3};
  const LabelledFeatures train = two_blocks(64, 3), test = two_blocks(80, 2);
  const auto features = [&](int64_t) { return train; };
  std::vector<double> losses[3];
  LinearProbe alone(options, 12, 4), first(options, 12, 4), second(options, 12, 4);
  const auto begun = alone.candidates()[1].head->weight.detach().clone();
  alone.train(features, [&](int64_t, double loss) { losses[2].push_back(loss); });
  const auto scores = alone.evaluate(test);
  test::ThreadRanks(2).run([&](Communicator& all) {
    LinearProbe& probe = all.leads() ? first : second;
    auto& seen = losses[all.rank()];
    probe.train(features, [&](int64_t, double loss) { seen.push_back(loss); }, all);
    const auto shared = probe.evaluate(test, all);
    for (size_t i = 0; i < scores.size(); ++i) {
      require(shared[i].json() == scores[i].json(), "other scores of candidate {}", i);
    }
  });
  for (size_t i = 0; i < options.lrs.size(); ++i) {
    const auto wanted = named_tensors(*alone.candidates()[i].head);
    for (const LinearProbe* probe : {&first, &second}) {
      for (const auto& [name, tensor] : named_tensors(*probe->candidates()[i].head)) {
        INFO(name);
        CHECK(torch::equal(tensor, wanted.at(name)));
      }
    }
  }
  for (size_t epoch = 0; epoch < 3; ++epoch) {
    CHECK(losses[0].at(epoch) == Approx(losses[2].at(epoch)).epsilon(1e-12));
    CHECK(losses[1].at(epoch) == losses[0].at(epoch));
  }
  // A rank trains its own alone: here nobody sends the others'.
  LinearProbe one(options, 12, 4);
  test::FakeRanks ranks(0, 2, test::zeros, {});
  one.train(features, {}, ranks);
  CHECK(torch::equal(one.candidates()[1].head->weight, begun));
  CHECK(torch::equal(one.candidates()[2].head->weight, alone.candidates()[2].head->weight));
}

TEST_CASE("the same seed gives the same classifiers") {
  const auto weights = [] {
    LinearProbeOptions options = read("{epochs: 2, batch: 16}", model_of(12, 1));
    LinearProbe probe(options, 12, 4);
    const LabelledFeatures train = two_blocks(64, 3);
    probe.train([&](int64_t) { return train; });
    return probe.candidates().back().head->weight.detach().clone();
  };
  CHECK(torch::equal(weights(), weights()));
}
