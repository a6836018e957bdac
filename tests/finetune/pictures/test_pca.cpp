#include "error.h"
#include "finetune/pictures/pca.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("principal components are the directions of largest variance") {
  torch::manual_seed(4);
  at::Tensor rows = torch::randn({500, 3}) * torch::tensor({5.0f, 0.1f, 1.0f});
  rows = rows + torch::tensor({10.0f, -3.0f, 2.0f});
  const Pca pca = fit_pca(rows, 2);
  CHECK(pca.components[0][0].item<double>() == Approx(1).epsilon(0.01));
  CHECK(pca.components[1][2].item<double>() == Approx(1).epsilon(0.01));
  CHECK(torch::allclose(torch::mm(pca.components, pca.components.t()), torch::eye(2), 0, 1e-5));
  const at::Tensor projected = pca.project(rows);
  CHECK(projected.mean(0).abs().max().item<double>() < 1e-4);
  const double first = projected.select(1, 0).var().item<double>();
  CHECK(pca.explained[0].item<double>() == Approx(first / rows.var(0).sum().item<double>()));
  CHECK_THROWS_AS(fit_pca(rows.slice(0, 0, 1), 1), Error);
  CHECK_THROWS_AS(fit_pca(rows, 4), Error);
}

TEST_CASE("patch colours leave the background black and tell parts of objects") {
  torch::manual_seed(5);
  at::Tensor patches = 0.01 * torch::randn({2, 6, 6, 8});
  patches.slice(1, 2, 4).slice(2, 2, 4).select(3, 0).add_(4);  // the object
  patches.slice(1, 2, 3).slice(2, 2, 4).select(3, 1).add_(1);  // its upper part
  const at::Tensor colors = patch_colors(patches);
  CHECK(colors.sizes().vec() == std::vector<int64_t>{2, 3, 6, 6});
  const at::Tensor bright = colors.sum(1);
  CHECK(bright[0][0][0].item<double>() == 0);
  CHECK(bright[1].sum().item<double>() ==
        Approx(bright[1].slice(0, 2, 4).slice(1, 2, 4).sum().item<double>()));
  const at::Tensor upper = colors[0].select(1, 2).select(1, 2);
  const at::Tensor lower = colors[0].select(1, 3).select(1, 2);
  CHECK((upper - lower).abs().max().item<double>() > 0.8);
}

TEST_CASE("a scatter plot has a point for each row and a name for each class") {
  const at::Tensor points = torch::tensor({{0.0f, 0.0f}, {1.0f, 2.0f}, {-1.0f, 5.0f}});
  const std::string svg =
      scatter_svg(points, torch::tensor({0, 1, -1}), {"cat & dog", "<fish>"}, "a title");
  const auto count = [&](const std::string& part) {
    int64_t found = 0;
    for (size_t at = svg.find(part); at != std::string::npos; at = svg.find(part, at + 1)) ++found;
    return found;
  };
  CHECK(count("fill-opacity") == 3);
  CHECK(count("cat &amp; dog") == 1);
  CHECK(count("&lt;fish&gt;") == 1);
  CHECK(count("a title") == 1);
}
