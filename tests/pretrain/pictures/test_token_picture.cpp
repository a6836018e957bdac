#include "pretrain/pictures/token_picture.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a token map shows each token as a cell of its colour, row by row") {
  const at::Tensor tokens = torch::tensor({{0, 1, 2, 3, 4, 0}});  // a grid of 2 x 3
  const at::Tensor map = token_map(tokens, 2, 3, 8, 12);
  CHECK(map.sizes() == at::IntArrayRef{1, 3, 8, 12});
  CHECK(map.min().item<float>() >= 0);
  CHECK(map.max().item<float>() <= 1);
  const auto colour = [&](int64_t y, int64_t x) { return map[0].select(1, y).select(1, x); };
  CHECK(torch::equal(colour(0, 0), colour(3, 3)));   // within the first cell
  CHECK(torch::equal(colour(0, 0), colour(7, 11)));  // the same token in the last cell
  CHECK_FALSE(torch::equal(colour(0, 4), colour(0, 8)));
  CHECK_FALSE(torch::equal(colour(0, 4), colour(4, 0)));
}

TEST_CASE("tokens that are neighbours in number are far apart in colour") {
  const at::Tensor map = token_map(torch::arange(512).view({1, 512}), 16, 32, 16, 32);
  const at::Tensor colours = map[0].flatten(1).t();  // [512, 3]
  const at::Tensor steps = (colours.slice(0, 1) - colours.slice(0, 0, 511)).norm(2, 1);
  CHECK(steps.min().item<float>() > 0.2F);
  const at::Tensor distances = torch::cdist(colours, colours) + 10 * torch::eye(512);
  CHECK(distances.min().item<float>() > 0);
}

TEST_CASE("a token has the same colour in BEiT's pictures as in its tokenizer's") {
  const at::Tensor tokens = torch::arange(4).view({1, 4});
  const at::Tensor images = torch::zeros({1, 3, 8, 8});
  const at::Tensor masked = torch::ones({1, 4}, torch::kBool);
  const Picture shown = masked_token_picture(images, masked, tokens, tokens, NormalizeOptions{});
  // Each colour of the map is somewhere in the sheet.
  const at::Tensor map = token_map(tokens, 2, 2, 2, 2)[0].flatten(1).t().mul(255).round();
  const at::Tensor pixels = shown.pixels.flatten(0, 1).to(torch::kFloat32);
  for (int64_t token = 0; token < 4; ++token) {
    const at::Tensor away = std::get<0>((pixels - map[token]).abs().max(1));
    CHECK(away.min().item<float>() <= 1);
  }
}
