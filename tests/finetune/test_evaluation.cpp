#include "finetune/evaluation.h"
#include "support/catch.h"

using namespace previt;

namespace {

std::shared_ptr<Vit> tiny_vit() {
  torch::manual_seed(3);
  return std::make_shared<Vit>(VitOptions{.embed_dim = 12,
                                          .depth = 1,
                                          .num_heads = 2,
                                          .image_size = {8},
                                          .patch_size = 4,
                                          .pool = Pooling::avg,
                                          .num_classes = 3});
}

// `samples` random images in batches of `batch`; sample 2 also stands in for sample 3, as a loader
// does where 3 can't be read.
class Samples final : public BatchSource {
 public:
  Samples(int64_t samples, int64_t batch) : batch_(batch) {
    torch::manual_seed(1);
    pixels_ = torch::randint(256, {samples, 3, 8, 8}, torch::kUInt8);
    labels_ = torch::randint(3, {samples}, torch::kInt64);
    indices_ = torch::arange(samples);
    indices_[3] = 2;
    pixels_[3] = pixels_[2];
    labels_[3] = labels_[2];
  }
  EpochPlan epoch_plan() const override {
    return {.samples = indices_.size(0), .step = batch_, .batch = batch_, .drop_last = false};
  }
  void seek(int64_t, int64_t batch) override { at_ = batch * batch_; }
  Batch next() override {
    const int64_t begin = at_, end = std::min(at_ + batch_, indices_.size(0));
    at_ = end;
    return {.views = {pixels_.slice(0, begin, end)},
            .labels = labels_.slice(0, begin, end),
            .indices = indices_.slice(0, begin, end)};
  }

 private:
  int64_t batch_, at_ = 0;
  at::Tensor pixels_, labels_, indices_;
};

}  // namespace

TEST_CASE("evaluation counts every readable sample once, in batches of any size") {
  auto vit = tiny_vit();
  torch::manual_seed(5);
  vit->set_num_classes(3, 1.0);
  vit->train();
  Samples single(11, 1), several(11, 4);
  const Evaluation one = evaluate(*vit, single, {}, torch::kFloat32);
  const Evaluation four = evaluate(*vit, several, {}, torch::kFloat32);
  CHECK(one.scores.images() == 10);
  CHECK(torch::equal(one.scores.confusion(), four.scores.confusion()));
  CHECK(one.scores.loss() == Approx(four.scores.loss()).epsilon(1e-4));
  CHECK(vit->is_training());

  CHECK(!one.wrong.empty());
  for (size_t i = 0; i < one.wrong.size(); ++i) {
    CHECK(one.wrong[i].label != one.wrong[i].answer);
    CHECK(one.wrong[i].pixels.sizes() == at::IntArrayRef({8, 8, 3}));
    if (i > 0) CHECK(one.wrong[i - 1].confidence >= one.wrong[i].confidence);
  }
  for (const Example& example : one.right) CHECK(example.label == example.answer);
}
