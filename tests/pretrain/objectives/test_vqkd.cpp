#include "models/weights/weights.h"
#include "pretrain/objectives/vqkd.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;

namespace {

RunOptions small_run() {
  RunOptions run = test::tiny_options();
  run.model.arch = "vit_tiny";
  run.model.embed_dim = 24;
  run.model.depth = 1;
  run.model.num_heads = 2;
  run.model.image_size = {16};
  run.model.patch_size = 4;
  return run;
}

}  // namespace

TEST_CASE("vqkd: any teacher gives a feature for each of the encoder's patches") {
  const TempFolder folder;
  FeatureTarget teacher(test::tiny_checkpoint(folder.path()));  // 16 pixels in patches of 8
  CHECK(teacher.dim() == 24);
  const at::Tensor features = teacher.features(torch::rand({2, 3, 24, 32}), 6, 8);
  CHECK(features.sizes() == at::IntArrayRef{2, 48, 24});
  CHECK_FALSE(features.requires_grad());
  for (const auto& parameter : teacher.parameters()) CHECK_FALSE(parameter.requires_grad());
}

TEST_CASE(
    "vqkd: distilled and mean-pooled classifiers teach with their patches, through their norm") {
  const TempFolder folder;
  VitOptions options = test::small_vit();
  options.num_classes = 3;
  const bool distilled = GENERATE(true, false);
  options.dist_token = distilled;
  if (!distilled) options.pool = Pooling::avg;
  FeatureTarget teacher(test::tiny_checkpoint(folder.path(), options));
  const at::Tensor features = teacher.features(torch::rand({2, 3, 16, 16}), 2, 2);
  CHECK(features.sizes() == at::IntArrayRef{2, 4, 24});
  CHECK(features.mean(2).abs().max().item<double>() < 1e-5);
  CHECK(features.var(2, /*unbiased=*/false).mean().item<double>() == Approx(1).epsilon(0.02));
}

TEST_CASE("vqkd: the teacher is no part of what is saved, but of what a run goes on with") {
  const TempFolder folder;
  VqkdOptions options;
  options.vqkd.teacher = test::tiny_checkpoint(folder.path());
  const VqkdTraining vqkd(options, small_run());
  for (const auto& item : named_tensors(vqkd)) CHECK(item.first.starts_with("tokenizer."));
  CHECK(vqkd.frozen_parts().at(0).first == "checksum of vqkd.teacher");
}

TEST_CASE("vqkd: the loss is one minus the cosine; without a teacher there is no run") {
  const at::Tensor a = torch::tensor({{{1.0, 0.0}, {0.0, 2.0}}});
  const at::Tensor b = torch::tensor({{{3.0, 0.0}, {1.0, 1.0}}});
  CHECK(cosine_loss(a, b).item<double>() == Approx((1 - std::sqrt(0.5)) / 2));
  CHECK_THROWS_WITH(VqkdTraining({}, small_run()), ContainsSubstring("vqkd.teacher: give"));
}
