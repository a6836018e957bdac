#include "pretrain/train/gradient_sum.h"
#include "support/catch.h"
#include "support/fake_ranks.h"

using namespace previt;
using namespace previt::test;

namespace {

constexpr int64_t kSmall = 40;  // bytes of a bucket: one parameter in each

/// Three parameters of eight numbers; a step uses those that are named.
struct Net {
  std::vector<at::Tensor> parameters;

  Net() {
    for (int i = 0; i < 3; ++i) {
      parameters.push_back(torch::arange(1.0f, 9.0f).mul(i + 1).requires_grad_());
    }
  }
  void backward(const std::vector<size_t>& used) {
    at::Tensor loss = torch::zeros({});
    for (const size_t i : used) loss = loss + parameters[i].square().sum();
    loss.backward();
  }
  at::Tensor gradient(size_t i) const { return parameters[i].grad(); }
  at::Tensor own(size_t i) const { return 2 * parameters[i].detach(); }
  void remove_gradients() {
    for (auto& parameter : parameters) parameter.mutable_grad().reset();
  }
};

void make_step(Net& net, GradientSum& sum, const std::vector<size_t>& used) {
  net.remove_gradients();
  sum.begin_backward(true);
  net.backward(used);
  sum.finish(torch::zeros({1}, torch::kFloat64));
}

}  // namespace

TEST_CASE("gradients and numbers are summed over the ranks") {
  const int64_t bucket = GENERATE(kSmall, GradientSum::kBucketBytes);
  const FakeWorld two(0, 2, same_again);
  Net net;
  GradientSum sum(net.parameters, bucket);
  for (int step = 0; step < 3; ++step) {
    net.remove_gradients();
    const at::Tensor numbers = torch::tensor({1.5, 2.0}, torch::kFloat64);
    sum.begin_backward(false);
    net.backward({0, 1, 2});
    sum.begin_backward(true);
    net.backward({0, 1, 2});
    sum.finish(numbers);
    for (size_t i = 0; i < 3; ++i) CHECK(torch::equal(net.gradient(i), 4 * net.own(i)));
    CHECK(torch::equal(numbers, torch::tensor({3.0, 4.0}, torch::kFloat64)));
  }
  CHECK(sum.traffic().bytes >= 3 * 3 * 8 * 4);
}

TEST_CASE("from the second step on, buckets go while backward makes the rest, the last one first") {
  bool over = false;
  int early = 0;
  const FakeWorld two(0, 2, [&](const at::Tensor& own) {
    if (!over) ++early;
    return own;
  });
  Net net;
  GradientSum sum(net.parameters, kSmall);
  for (int step = 0; step < 2; ++step) {
    over = false;
    early = 0;
    sum.begin_backward(false);
    net.backward({0, 1, 2});  // nothing goes before the last micro-step
    CHECK(early == 0);
    net.remove_gradients();
    sum.begin_backward(true);
    net.backward({0, 1, 2});
    over = true;
    sum.finish(torch::zeros({1}, torch::kFloat64));
    CHECK(early == (step == 0 ? 0 : 3));  // the first step learns what to wait for
  }
  REQUIRE(two.sent().size() == 8);  // three buckets and the numbers of each step
  for (size_t i = 0; i < 3; ++i) {
    CHECK(torch::equal(two.sent()[4 + i].slice(0, 0, 8), net.own(2 - i)));
  }
}

TEST_CASE("a parameter that no rank has used stays without a gradient") {
  const FakeWorld two(0, 2, same_again);
  Net net;
  GradientSum sum(net.parameters, kSmall);
  for (int step = 0; step < 2; ++step) {
    make_step(net, sum, {0, 2});
    CHECK_FALSE(net.gradient(1).defined());
    CHECK(torch::equal(net.gradient(0), 2 * net.own(0)));
    CHECK(torch::equal(net.gradient(2), 2 * net.own(2)));
  }
}

TEST_CASE("zeros stand in for a gradient that only another rank has") {
  const FakeWorld two(0, 2, [](const at::Tensor& own) {
    at::Tensor others = torch::ones_like(own);
    if (own.scalar_type() == torch::kFloat64) others.slice(0, 4).zero_();  // nothing came late
    return others;
  });
  Net net;
  GradientSum sum(net.parameters, kSmall);
  make_step(net, sum, {0, 2});
  REQUIRE(net.gradient(1).defined());
  CHECK(torch::equal(net.gradient(1), torch::ones({8})));
  CHECK(torch::equal(net.gradient(0), net.own(0) + 1));
}

TEST_CASE("a gradient that comes when its bucket has gone is summed all the same") {
  const FakeWorld two(0, 2, same_again);
  Net net;
  GradientSum sum(net.parameters, GradientSum::kBucketBytes);
  make_step(net, sum, {0, 2});
  make_step(net, sum, {0, 1, 2});  // the order in which they come is autograd's
  for (size_t i = 0; i < 3; ++i) CHECK(torch::equal(net.gradient(i), 2 * net.own(i)));
  make_step(net, sum, {1});
  CHECK_FALSE(net.gradient(0).defined());
  CHECK(torch::equal(net.gradient(1), 2 * net.own(1)));
}

TEST_CASE("what came late on one rank is added to what was summed before") {
  // The other rank has the same, but of what comes late it has ones.
  int64_t sums = 0;
  const FakeWorld two(0, 2, [&](const at::Tensor& own) {
    return ++sums == 3 ? torch::ones_like(own) : own;  // bucket, numbers, what was late
  });
  Net net;
  GradientSum sum(net.parameters, GradientSum::kBucketBytes);
  make_step(net, sum, {2});
  sums = 0;
  net.remove_gradients();
  sum.begin_backward(true);
  net.backward({2});  // all that was waited for, so the bucket goes
  CHECK(sums == 1);
  net.backward({0});
  sum.finish(torch::zeros({1}, torch::kFloat64));
  REQUIRE(sums == 3);
  CHECK(torch::equal(net.gradient(0), net.own(0) + 1));
  CHECK(torch::equal(net.gradient(2), 2 * net.own(2) + 1));
  CHECK_FALSE(net.gradient(1).defined());
}

TEST_CASE("a gradient lies in its bucket from its first micro-step until it is removed") {
  const FakeWorld two(0, 2, same_again);
  Net net;
  GradientSum sum(net.parameters);
  sum.begin_backward(false);
  net.backward({0, 1});
  const void* place = net.gradient(0).data_ptr();
  CHECK(net.gradient(0).storage().is_alias_of(net.gradient(1).storage()));
  sum.begin_backward(true);
  net.backward({0, 1});
  sum.finish(torch::zeros({1}, torch::kFloat64));
  CHECK(net.gradient(0).data_ptr() == place);
  CHECK(torch::equal(net.gradient(0), 4 * net.own(0)));
  make_step(net, sum, {0});
  CHECK(net.gradient(0).data_ptr() == place);
  CHECK(torch::equal(net.gradient(0), 2 * net.own(0)));
}

TEST_CASE("nothing of the sum stays with the parameters") {
  const FakeWorld two(0, 2, same_again);
  Net net;
  {
    GradientSum sum(net.parameters);
    make_step(net, sum, {0, 1, 2});
  }
  net.remove_gradients();
  net.backward({0});
  CHECK(torch::equal(net.gradient(0), net.own(0)));
  CHECK(two.sent().size() == 2);
}
