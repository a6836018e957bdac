#include "pretrain/masks/random_masking.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("the number of kept patches is truncated in double precision") {
  CHECK(kept_patches(196, 0.75) == 49);
  CHECK(kept_patches(256, 0.75) == 64);
  CHECK(kept_patches(100, 0.9) == 9);  // 100 · (1 - 0.9) is 9.999…
  CHECK(kept_patches(10, 0.6) == 4);
}

TEST_CASE("the smallest noise is kept, and restore undoes the shuffle") {
  const RandomMask mask = random_mask(torch::tensor({{0.9f, 0.1f, 0.5f, 0.3f}}), 0.5);
  CHECK(mask.kept == 2);
  CHECK(mask.kept_ids().equal(torch::tensor({{1, 3}}, torch::kInt64)));
  CHECK(mask.masked_ids().equal(torch::tensor({{2, 0}}, torch::kInt64)));
  CHECK(mask.binary().equal(torch::tensor({{1.0f, 0.0f, 1.0f, 0.0f}})));
  CHECK(mask.order.gather(1, mask.restore()).equal(torch::tensor({{0, 1, 2, 3}}, torch::kInt64)));
}

TEST_CASE("noise that could tie is refused") {
  CHECK_THROWS(random_mask(torch::rand({2, 8}).to(torch::kHalf), 0.5));
}

TEST_CASE("gathered tokens are each image's own, and so are their gradients") {
  const at::Tensor tokens = torch::arange(12, torch::kFloat32).view({2, 3, 2}).requires_grad_();
  const at::Tensor ids = torch::tensor({{2, 0}, {1, 2}}, torch::kInt64);
  const at::Tensor got = gather_tokens(tokens, ids);
  CHECK(got.equal(torch::tensor({{{4.f, 5.f}, {0.f, 1.f}}, {{8.f, 9.f}, {10.f, 11.f}}})));
  got.sum().backward();
  CHECK(tokens.grad().select(2, 0).equal(torch::tensor({{1.f, 0.f, 1.f}, {0.f, 1.f, 1.f}})));
}
