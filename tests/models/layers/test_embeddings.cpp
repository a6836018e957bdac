#include <torch/csrc/autograd/autograd.h>

#include "models/layers/patch_embed.h"
#include "models/layers/pos_embed.h"
#include "models/layers/rel_pos_bias.h"
#include "models/layers/spline.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("patches are projected as the strided convolution does") {
  PatchEmbed embed(4, 3, 10);
  {
    torch::NoGradGuard no_grad;
    for (auto& parameter : embed.parameters()) parameter.normal_();
  }
  const at::Tensor images = torch::randn({2, 3, 8, 12});
  const at::Tensor maps = torch::conv2d(images, embed.weight(), embed.bias(), 4);
  CHECK(torch::allclose(embed.forward(images), maps.flatten(2).transpose(1, 2), 1e-4, 1e-4));
  const at::Tensor strided = images.transpose(2, 3).contiguous().transpose(2, 3);
  CHECK(torch::equal(embed.forward(strided), embed.forward(images)));
}

TEST_CASE("sin-cos positions of a rectangle: column first, row second") {
  const at::Tensor table = sincos_positions(8, 2, 3, false);
  REQUIRE(table.sizes() == torch::IntArrayRef({6, 8}));
  const at::Tensor last = table[5];  // row 1, column 2; frequencies 1 and 1/100
  const std::vector<double> expected = {std::sin(2),
                                        std::sin(.02),
                                        std::cos(2),
                                        std::cos(.02),
                                        std::sin(1),
                                        std::sin(.01),
                                        std::cos(1),
                                        std::cos(.01)};
  for (int64_t i = 0; i < 8; ++i) {
    CHECK(last[i].item<double>() == Approx(expected[static_cast<size_t>(i)]));
  }
}

TEST_CASE("resizing positions keeps prefix rows and constants") {
  const at::Tensor table = torch::full({1, 2 + 12, 3}, 0.5);
  for (const auto convention : {ResizeConvention::timm,
                                ResizeConvention::mae,
                                ResizeConvention::dino,
                                ResizeConvention::dinov2_reg}) {
    const at::Tensor resized = resize_pos_embed(table, 3, 4, 5, 2, pos_resize(convention));
    CHECK(resized.sizes() == torch::IntArrayRef({1, 2 + 10, 3}));
    CHECK(torch::allclose(resized, torch::full_like(resized, 0.5)));
  }
  CHECK(resize_pos_embed(table, 3, 4, 3, 4, pos_resize(ResizeConvention::mae)).is_same(table));
}

TEST_CASE("positions are resized by the same weights where the order of sums is fixed") {
  const at::Tensor table = torch::randn({1, 2 + 12, 3}).requires_grad_();
  const at::Tensor along = torch::randn({1, 2 + 10, 3});
  const auto resized_and_gradient = [&](bool deterministic, PosResize how) {
    at::globalContext().setDeterministicAlgorithms(deterministic, false);
    const at::Tensor resized = resize_pos_embed(table, 3, 4, 5, 2, how);
    at::globalContext().setDeterministicAlgorithms(false, false);
    return std::pair{resized, torch::autograd::grad({(resized * along).sum()}, {table}).front()};
  };
  for (const auto convention : {ResizeConvention::timm,
                                ResizeConvention::mae,
                                ResizeConvention::dino,
                                ResizeConvention::dinov2_reg}) {
    const auto plain = resized_and_gradient(false, pos_resize(convention));
    const auto fixed = resized_and_gradient(true, pos_resize(convention));
    CHECK(torch::allclose(fixed.first, plain.first, 1e-5, 1e-6));
    CHECK(torch::allclose(fixed.second, plain.second, 1e-5, 1e-6));
  }
}

TEST_CASE("the spline passes through its points and is exact for cubics") {
  const std::vector<double> points = {-3, -1.2, 0, 0.7, 2, 5}, at = {-3, -2, 0.1, 1.9, 4.4, 5};
  const auto cubic = [](const std::vector<double>& x) {
    const at::Tensor t = torch::tensor(x, torch::kDouble);
    return 0.3 * t.pow(3) - t.square() + 2 * t - 1;
  };
  CHECK(torch::allclose(spline_matrix(points, at).mv(cubic(points)), cubic(at), 1e-10, 1e-10));
  CHECK(
      torch::allclose(spline_matrix(points, points), torch::eye(6, torch::kDouble), 1e-10, 1e-10));
  // Three points: the parabola; one: the constant.
  const at::Tensor parabola =
      spline_matrix({-1, 0, 2}, {1}).mv(torch::tensor({1.0, 0.0, 4.0}, torch::kDouble));
  CHECK(parabola.item<double>() == Approx(1));
  CHECK(spline_matrix({0}, {0}).item<double>() == 1);
}

TEST_CASE("a relative table resized to a larger rectangle keeps symmetry and centre") {
  const int64_t h = 3, w = 4;
  at::Tensor table = torch::randn({relative_position_rows(h, w), 2}, torch::kDouble);
  at::Tensor offsets = table.slice(0, 0, 35).view({5, 7, 2});
  offsets.copy_(offsets + offsets.flip({0, 1}));
  const at::Tensor resized = resize_relative_table(table, h, w, 5, 6);
  REQUIRE(resized.size(0) == relative_position_rows(5, 6));
  const at::Tensor grid = resized.slice(0, 0, 99).view({9, 11, 2});
  CHECK(torch::allclose(grid, grid.flip({0, 1}), 1e-9, 1e-9));
  CHECK(torch::allclose(grid[4][5], offsets[2][3], 1e-9, 1e-9));
}

TEST_CASE("a relative bias reads the table by the offset of two patches") {
  const at::Tensor index = relative_position_index(2, 3);
  const at::Tensor table = torch::arange(relative_position_rows(2, 3), torch::kFloat).unsqueeze(1);
  const at::Tensor bias = relative_position_bias(table, index);
  REQUIRE(bias.sizes() == torch::IntArrayRef({1, 7, 7}));
  CHECK(bias[0][0][0].item<int64_t>() == 17);
  CHECK(bias[0][0][3].item<int64_t>() == 15);
  CHECK(bias[0][3][0].item<int64_t>() == 16);
  CHECK(bias[0][1][1].item<int64_t>() == 1 * 5 + 2);            // no offset: the middle
  CHECK(bias[0][6][1].item<int64_t>() == (1 + 1) * 5 + 2 + 2);  // one row down, two columns right
}
