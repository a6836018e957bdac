#include "error.h"
#include "finetune/pictures/attention_maps.h"
#include "finetune/pictures/heat_map.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"

using namespace previt;

namespace {

// [w] → map [1, w].
at::Tensor row(std::vector<double> values) {
  return torch::tensor(values, torch::kFloat64).unsqueeze(0);
}

}  // namespace

TEST_CASE("attention maps are the class token's row, registers left out") {
  torch::manual_seed(5);
  VitOptions options = test::small_vit();
  options.register_tokens = 2;
  options.pos_resize = ResizeConvention::dinov2_reg;
  Vit vit(options);
  vit.eval();
  const at::Tensor images = torch::randn({2, 3, 24, 40});  // another size and shape
  const at::Tensor whole = vit.attention(images, 0).detach();
  const at::Tensor maps = attention_maps(vit, images, 0);
  CHECK(maps.sizes().vec() == std::vector<int64_t>{2, 3, 3, 5});
  CHECK(torch::equal(maps.flatten(2), whole.select(2, 0).slice(2, 3)));
  CHECK(torch::equal(attention_maps(vit, images), attention_maps(vit, images, 1)));
  CHECK_THROWS_AS(attention_maps(vit, images, 2), Error);
}

TEST_CASE("rollout multiplies half attention, half identity") {
  torch::manual_seed(6);
  Vit vit(test::small_vit());
  vit.eval();
  const torch::NoGradGuard no_grad;
  const at::Tensor images = torch::randn({1, 3, 16, 16});
  const auto half = [&](int64_t block) {
    return 0.5 * vit.attention(images, block)[0].mean(0) + 0.5 * torch::eye(5);
  };
  const at::Tensor want = torch::mm(half(1), half(0))[0].slice(0, 1).view({1, 1, 2, 2});
  CHECK(torch::allclose(attention_rollout(vit, images), want, 0, 1e-6));
  int64_t block = 0;
  vit.each_attention(images, [&](const at::Tensor& weights) {
    CHECK(torch::equal(weights, vit.attention(images, block++)));
  });
  CHECK(block == 2);
}

TEST_CASE("a mask keeps the fewest patches with the share of the mass") {
  const at::Tensor map = row({0.1, 0.4, 0.2, 0.3});
  const auto mask = [&](double share) {
    std::vector<bool> kept;
    const at::Tensor cells = mass_mask(map, share)[0];
    for (int64_t i = 0; i < 4; ++i) kept.push_back(cells[i].item<bool>());
    return kept;
  };
  CHECK(mask(0.35) == std::vector<bool>{false, true, false, false});
  CHECK(mask(0.6) == std::vector<bool>{false, true, false, true});
  CHECK(mask(0.8) == std::vector<bool>{false, true, true, true});
  CHECK(mask(1) == std::vector<bool>{true, true, true, true});
  CHECK(torch::equal(mass_mask(map * 7, 0.6), mass_mask(map, 0.6)));
  CHECK_THROWS_AS(mass_mask(map, 0), Error);
}

TEST_CASE("masks are scored against the object, with what chance and the centre reach") {
  at::Tensor truth = torch::zeros({8, 8}, torch::kBool);
  truth.slice(0, 0, 4).slice(1, 0, 4).fill_(true);  // the upper left quarter
  at::Tensor masks = torch::zeros({2, 4, 4}, torch::kBool);
  masks[0].slice(0, 0, 2).slice(1, 0, 2).fill_(true);  // exactly it
  masks[1].slice(0, 0, 2).fill_(true);                 // the upper half
  const MaskScore score = score_masks(masks, truth, 2, 1);
  CHECK(score.heads[0] == 1);
  CHECK(score.heads[1] == Approx(0.5));
  CHECK(score.best == 1);
  CHECK(score.random < 0.6);
  CHECK(score.random > 0);
  // A 4 × 4 box in the centre meets a quarter of the object: 4 / (16 + 16 - 4); the box of half the
  // picture, 6 × 6, meets 9 of it: 9 / (36 + 16 - 9).
  CHECK(score.centre_box == Approx(9.0 / 43));
  CHECK(score_masks(masks, truth, 2, 1).random == score.random);
  CHECK_THROWS_AS(score_masks(masks, truth, 4, 1), Error);
}

TEST_CASE("heat is dark where a map is least and light where it is most") {
  const at::Tensor picture = torch::full({3, 8, 8}, 0.5);
  at::Tensor map = torch::zeros({2, 2});
  map[1][1] = 3;
  const at::Tensor heat = heat_overlay(picture, map);
  CHECK(heat.sizes().vec() == std::vector<int64_t>{3, 8, 8});
  CHECK(heat.select(1, 7).select(1, 7).sum().item<double>() >
        2 * heat.select(1, 0).select(1, 0).sum().item<double>());
  const at::Tensor cut = cut_out(picture, map > 0);
  CHECK(cut[0][7][7].item<double>() == Approx(0.5));
  CHECK(cut[0][0][0].item<double>() < 0.2);
  CHECK(thumbnail(torch::zeros({3, 10, 20}), 16).sizes().vec() == std::vector<int64_t>{3, 16, 16});
  CHECK(to_pixels(picture).sizes().vec() == std::vector<int64_t>{8, 8, 3});
}
