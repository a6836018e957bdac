#include "pretrain/losses/dvae_loss.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE(
    "KL divergence from the uniform prior is ln K for certain tokens and 0 for equal shares") {
  at::Tensor certain = torch::zeros({2, 5, 3, 4});
  certain.select(1, 2).fill_(100);
  CHECK(kl_to_uniform(certain).item<double>() == Approx(std::log(5.0)));
  CHECK(kl_to_uniform(torch::full({2, 5, 3, 4}, 7.0)).item<double>() == Approx(0).margin(1e-6));
  // Shares 1/2, 1/4, 1/4: ½ ln 3/2 + ½ ln 3/4
  const at::Tensor uneven = torch::tensor({0.5, 0.25, 0.25}).log().view({1, 3, 1, 1});
  CHECK(kl_to_uniform(uneven).item<double>() == Approx(0.5 * std::log(1.5) + 0.5 * std::log(0.75)));
}

TEST_CASE("Gumbel-softmax draws tokens as often as softmax says, and surely when cold") {
  torch::manual_seed(1);
  const at::Tensor shares = torch::tensor({0.6, 0.3, 0.1}).view({1, 3, 1, 1});
  const at::Tensor logits = shares.log().expand({20000, 3, 1, 1});
  const at::Tensor cold = gumbel_softmax(logits, 0.01);
  CHECK((cold.sum(1) - 1).abs().max().item<double>() < 1e-5);
  CHECK(cold.amax(1).mean().item<double>() > 0.99);
  CHECK((cold.mean(0) - shares[0]).abs().max().item<double>() < 0.02);
  CHECK(gumbel_softmax(logits, 100).amax(1).mean().item<double>() < 0.4);
}

TEST_CASE("the logit-Laplace loss is the negative logarithm of a density") {
  const double location = 0.4, log_scale = -0.7, scale = std::exp(log_scale);
  const at::Tensor parameters = torch::tensor({location, log_scale}).view({1, 2, 1, 1});
  const at::Tensor pixel = torch::full({1, 1, 1, 1}, 0.25);
  const double x = 0.8 * 0.25 + 0.1;
  const double density =
      std::exp(-std::abs(std::log(x / (1 - x)) - location) / scale) / (2 * scale * x * (1 - x));
  CHECK(logit_laplace_loss(pixel, parameters).item<double>() ==
        Approx(-std::log(density)).epsilon(1e-5));
  // Its whole mass is 1: over the open interval that the squeezed pixel lives in.
  double mass = 0;
  for (double at = 0.0005; at < 1; at += 0.001) {
    mass += 0.001 * std::exp(-std::abs(std::log(at / (1 - at)) - location) / scale) /
            (2 * scale * at * (1 - at));
  }
  CHECK(mass == Approx(1).epsilon(0.01));
}

TEST_CASE("pixels come back from the locations that fit them best") {
  torch::manual_seed(2);
  const at::Tensor pixels = torch::rand({2, 3, 4, 4});
  const at::Tensor locations = torch::logit(0.8 * pixels + 0.1);
  const at::Tensor parameters = torch::cat({locations, torch::full_like(locations, -2)}, 1);
  CHECK((logit_laplace_pixels(parameters) - pixels).abs().max().item<double>() < 1e-5);
  const at::Tensor off = torch::cat({locations + 0.1, torch::full_like(locations, -2)}, 1);
  CHECK(logit_laplace_loss(pixels, parameters).item<double>() <
        logit_laplace_loss(pixels, off).item<double>());
}
