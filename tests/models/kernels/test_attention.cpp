#include "models/kernels/kernels.h"
#include "support/plain_kernels.h"

using namespace previt;

namespace {

struct Shape {
  int64_t batch, tokens, heads, width;
};

void check_attention(const Shape& shape) {
  const auto [batch, tokens, heads, width] = shape;
  const at::Tensor qkv = torch::randn({batch, tokens, 3 * heads * width});
  INFO(tokens << " tokens, " << heads << " heads of " << width);
  const auto self = [heads = heads](const auto& t) {
    return self_attention(t[0], heads, t.size() > 1 ? t[1] : at::Tensor());
  };
  if (tokens > 1) {  // one token: the weights are 1 and most gradients vanish
    check_against_plain(self, {qkv});
    check_against_plain(self, {qkv, torch::randn({heads, tokens, tokens})});
    check_against_plain(self, {qkv, torch::randn({1, heads, 1, tokens})});
    check_against_plain(self, {qkv, torch::randn({batch, 1, tokens, tokens})});
  }
  check_against_plain([heads = heads](const auto& t) { return cross_attention(t[0], t[1], heads); },
                      {torch::randn({batch, 3, heads * width}),
                       torch::randn({batch, tokens + 1, 2 * heads * width})});
}

}  // namespace

TEST_CASE("attention equals the plain formula with gradients") {
  torch::manual_seed(2);
  const auto shape = GENERATE(Shape{2, 1, 1, 8},
                              Shape{3, 17, 3, 64},
                              Shape{2, 50, 2, 24},
                              Shape{1, 65, 4, 40},
                              Shape{2, 11, 2, 7});
  check_attention(shape);
}

// On an emulated processor alone it takes minutes.
TEST_CASE("attention between the 197 tokens of an image equals the plain formula", "[slow]") {
  torch::manual_seed(2);
  check_attention({2, 197, 2, 32});
}

TEST_CASE("attention leaves out what a bias of -inf masks") {
  torch::manual_seed(3);
  const at::Tensor qkv = torch::randn({2, 9, 3 * 2 * 16});
  at::Tensor bias = torch::zeros({1, 1, 9, 9});
  bias.slice(-1, 5).fill_(-INFINITY);
  const ComputeTypeGuard guard(torch::kBFloat16);
  const at::Tensor masked = self_attention(qkv, 2, bias).slice(1, 0, 5);
  CHECK(torch::equal(masked, self_attention(qkv.slice(1, 0, 5), 2)));
}
