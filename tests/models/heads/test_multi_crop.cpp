#include "models/heads/multi_crop.h"
#include "models/vit.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("crops of one size go through the network together") {
  VitOptions options;
  options.embed_dim = 24;
  options.depth = 2;
  options.num_heads = 2;
  options.image_size = {16};
  options.patch_size = 4;
  options.pos_resize = ResizeConvention::dino;
  torch::manual_seed(5);
  Vit vit(resolve(options));
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> views;
  for (const int64_t side : {16, 16, 8, 8, 16}) views.push_back(torch::randn({2, 3, side, side}));
  const at::Tensor features = multi_crop_features(vit, views);
  for (size_t i = 0; i < views.size(); ++i) {
    const at::Tensor whole = vit.pool(vit.forward_features(views[i]));
    CHECK(torch::allclose(features.narrow(0, 2 * static_cast<int64_t>(i), 2), whole, 1e-5, 1e-5));
  }
}
