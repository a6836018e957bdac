#include "models/kernels/weight_copy.h"
#include "support/catch.h"

using namespace previt;

namespace {

at::Tensor in_bf16(const at::Tensor& weight) { return weight.detach().to(torch::kBFloat16); }

void scale(const at::Tensor& weight, double factor) {
  const torch::NoGradGuard no_grad;
  weight.mul_(factor);
}

}  // namespace

TEST_CASE("a weight's copy is made once and follows the weight") {
  at::Tensor weight = torch::randn({4, 6}).requires_grad_();
  WeightCopy copy;
  const auto follows = [&] {
    const at::Tensor now = copy.of(weight, torch::kBFloat16);
    return torch::equal(now, in_bf16(weight)) && copy.of(weight, torch::kBFloat16).is_same(now);
  };
  CHECK(follows());
  scale(weight, 2);
  CHECK(follows());
  scale(weight[1], 3);  // through a view
  CHECK(follows());
  weight.set_data(torch::ones({4, 6}));
  CHECK(follows());
  weight = torch::full({4, 6}, 2.F).requires_grad_();  // of the same version as the one before
  CHECK(follows());
  weight = torch::full({2, 3}, 4.F).requires_grad_();
  CHECK(follows());

  static_cast<float*>(weight.data_ptr())[1] = 7;  // which no version counts
  WeightCopy::changed(weight);
  CHECK(follows());
  CHECK(copy.of(weight, torch::kBFloat16)[0][1].item<float>() == 7);
}

TEST_CASE("a weight in the wanted type is its own copy") {
  const at::Tensor weight = torch::randn({4, 6}).requires_grad_();
  WeightCopy copy;
  const at::Tensor same = copy.of(weight, torch::kFloat);
  CHECK(same.data_ptr() == weight.data_ptr());
  CHECK_FALSE(same.requires_grad());
  CHECK(torch::equal(copy.of(weight, torch::kBFloat16), in_bf16(weight)));
  CHECK(torch::equal(copy.of(weight, torch::kHalf), weight.detach().to(torch::kHalf)));
}

TEST_CASE("a weight's copy is overwritten only where nobody else holds it") {
  const at::Tensor weight = torch::randn({4, 6}).requires_grad_();
  WeightCopy copy;
  const void* place = copy.of(weight, torch::kBFloat16).data_ptr();
  scale(weight, 2);
  CHECK(copy.of(weight, torch::kBFloat16).data_ptr() == place);
  CHECK(torch::equal(copy.of(weight, torch::kBFloat16), in_bf16(weight)));

  const at::Tensor before = in_bf16(weight);
  const at::Tensor alias = copy.of(weight, torch::kBFloat16).alias();  // what plain graphs hold
  scale(weight, 2);
  CHECK(torch::equal(copy.of(weight, torch::kBFloat16), in_bf16(weight)));
  CHECK(torch::equal(alias, before));
}
