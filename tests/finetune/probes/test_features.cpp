#include "error.h"
#include "finetune/probes/features.h"
#include "support/catch.h"
#include "support/tiny_run.h"

using namespace previt;

TEST_CASE("features of a source come once for each sample, whatever the batches") {
  torch::manual_seed(3);
  test::TinyObjective objective;
  Vit& vit = *objective.vit;
  const auto read = [&](int64_t batch) {
    test::MemorySource source(10, batch);
    Features features = extract_features(vit, source, {.tokens = FeatureTokens::cls_mean}, {});
    const at::Tensor order = features.indices.argsort();
    return features.values.index_select(0, order);
  };
  const at::Tensor one = read(10);
  CHECK(one.sizes().vec() == std::vector<int64_t>{10, 24});
  CHECK(torch::allclose(one, read(3), 0, 1e-5));
  test::MemorySource source(10, 4);
  const Features features = extract_features(vit, source, {}, {});
  CHECK(torch::equal(features.labels, features.indices % 3));
}

TEST_CASE("each kind of feature is what its name says") {
  test::TinyObjective objective;
  Vit& vit = *objective.vit;
  vit.eval();
  const torch::NoGradGuard no_grad;
  const at::Tensor images = torch::randn({2, 3, 8, 8});
  const at::Tensor tokens = vit.forward_features(images);
  const auto of = [&](FeatureTokens which) { return features_of(vit, images, {.tokens = which}); };
  CHECK(torch::allclose(of(FeatureTokens::cls), tokens.select(1, 0), 0, 1e-6));
  CHECK(torch::allclose(of(FeatureTokens::pooled), of(FeatureTokens::cls), 0, 1e-6));
  CHECK(torch::allclose(of(FeatureTokens::mean), tokens.slice(1, 1).mean(1), 0, 1e-6));
  CHECK(torch::allclose(
      of(FeatureTokens::cls_mean).slice(1, 1, 24, 2), of(FeatureTokens::mean), 0, 1e-6));
  CHECK(of(FeatureTokens::patches).sizes().vec() == std::vector<int64_t>{2, 4, 12});
  CHECK_THROWS_WITH(features_of(vit, images, {.tokens = FeatureTokens::cls, .blocks = 2}),
                    "features of 2 blocks: the model has 1");
}
