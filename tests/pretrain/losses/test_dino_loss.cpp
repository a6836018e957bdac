#include <torch/csrc/autograd/autograd.h>

#include "error.h"
#include "pretrain/collapse.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/losses/feature_statistics.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"
#include "support/catch.h"

using namespace previt;

namespace {

// The definition: a mean over all pairs of different views.
at::Tensor plain_loss(const at::Tensor& logits,
                      const at::Tensor& targets,
                      int64_t teacher_views,
                      int64_t views,
                      double temperature) {
  const auto student = (logits / temperature).log_softmax(-1).chunk(views);
  const auto teacher = targets.chunk(teacher_views);
  at::Tensor sum = torch::zeros({}, logits.options());
  for (int64_t t = 0; t < teacher_views; ++t) {
    for (int64_t s = 0; s < views; ++s) {
      if (s != t) sum = sum - (teacher[t] * student[s]).sum(-1).mean();
    }
  }
  return sum / (teacher_views * (views - 1));
}

}  // namespace

TEST_CASE("the factored loss is the mean over pairs of views, and so is its gradient") {
  torch::manual_seed(3);
  const int64_t teacher_views = GENERATE(1, 2, 3), views = teacher_views + GENERATE(0, 1, 4);
  if (views == 1) return;
  const at::Tensor logits = torch::randn({views * 5, 11}, torch::kFloat64).requires_grad_();
  const at::Tensor targets = torch::randn({teacher_views * 5, 11}, torch::kFloat64).softmax(-1);
  const at::Tensor plain = plain_loss(logits, targets, teacher_views, views, 0.1);
  const at::Tensor single = logits.detach().to(torch::kFloat32).requires_grad_();
  const at::Tensor loss = cross_view_loss(single, targets.to(torch::kFloat32), teacher_views, 0.1);
  CHECK(loss.item<double>() == Approx(plain.item<double>()).epsilon(1e-5));
  const at::Tensor want = torch::autograd::grad({plain}, {logits})[0].to(torch::kFloat32);
  const at::Tensor got = torch::autograd::grad({loss * 3}, {single})[0];
  CHECK(torch::allclose(got, 3 * want, 1e-4, 1e-6));
}

TEST_CASE("the loss is computed in float32 from bfloat16 logits") {
  const at::Tensor logits = torch::randn({20, 300}).to(torch::kBFloat16).requires_grad_();
  const at::Tensor targets =
      centered_softmax(torch::randn({10, 300}).to(torch::kBFloat16), torch::zeros({1, 300}), 0.04);
  CHECK(targets.scalar_type() == torch::kFloat32);
  CHECK(torch::allclose(targets.sum(1), torch::ones({10}), 1e-5, 1e-5));
  const at::Tensor loss = cross_view_loss(logits, targets, 2, 0.1);
  CHECK(loss.scalar_type() == torch::kFloat32);
  loss.backward();
  CHECK(logits.grad().scalar_type() == torch::kBFloat16);
}

TEST_CASE("the loss refuses views that do not fit together") {
  const at::Tensor targets = torch::full({4, 3}, 1.0 / 3);
  CHECK_THROWS_AS(cross_view_loss(torch::randn({7, 3}), targets, 2, 0.1), Error);
  CHECK_THROWS_AS(cross_view_loss(torch::randn({2, 3}), targets, 2, 0.1), Error);
  CHECK_THROWS_AS(cross_view_loss(torch::randn({8, 4}), targets, 2, 0.1), Error);
}

TEST_CASE("the mean of logits does not depend on how the rows were cut") {
  const at::Tensor logits = torch::randn({12, 7});
  RowMean mean;
  CHECK(mean.empty());
  for (const auto& part : {logits.slice(0, 0, 8), logits.slice(0, 8, 12)}) mean.add(part);
  CHECK(torch::allclose(mean.mean(), logits.mean(0, true), 1e-5, 1e-6));
  mean.reset();
  CHECK(mean.empty());
}

TEST_CASE("Sinkhorn-Knopp uses all prototypes alike") {
  const at::Tensor logits = torch::randn({6, 6}) * 30;  // exp of it overflows without the maximum
  const at::Tensor q = sinkhorn_knopp(torch::randn({60, 6}), 1, 50);
  CHECK(torch::allclose(q.sum(1), torch::ones({60}), 1e-4, 1e-4));
  CHECK(torch::allclose(q.sum(0), torch::full({6}, 10.0), 1e-3, 1e-3));
  CHECK(sinkhorn_knopp(logits + 500, 1, 3).isfinite().all().item<bool>());
}

TEST_CASE("KoLeo is the mean log distance to the nearest other row") {
  const at::Tensor rows = torch::tensor({{1.0, 0.0}, {0.0, 2.0}, {-3.0, 0.0}});
  CHECK(koleo_loss(rows).item<double>() == Approx(-0.5 * std::log(2.0)).epsilon(1e-4));
  CHECK_THROWS_AS(koleo_loss(rows.slice(0, 0, 1)), Error);
}

TEST_CASE("spread and effective rank tell one feature from many") {
  const at::Tensor one_way = torch::full({5, 4}, 0.5);
  const at::Tensor all_ways = torch::cat({torch::eye(4), -torch::eye(4)});
  CHECK(spread_around(one_way.mean(0)).item<double>() == Approx(0).margin(1e-3));
  CHECK(spread_around(all_ways.mean(0)).item<double>() == Approx(1));
  CHECK(effective_rank(torch::eye(6).slice(0, 0, 3)) == Approx(3).epsilon(1e-3));
  CHECK(effective_rank(torch::randn({50, 1}).mm(torch::randn({1, 8}))) == Approx(1).epsilon(1e-2));
  CHECK(std::isnan(effective_rank(torch::eye(3) * std::nan(""))));
  // two singular values, 3 and 1: exp of the entropy of (3/4, 1/4)
  const at::Tensor two = torch::tensor({{3.0, 0.0}, {0.0, 1.0}, {0.0, 0.0}});
  CHECK(effective_rank(two) ==
        Approx(std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25))).epsilon(1e-3));
}

TEST_CASE("a collapse is named, with its remedy") {
  const auto words_for = [](const at::Tensor& targets, double spread) {
    return describe_collapse({{"teacher_entropy", target_entropy(targets).item<double>()},
                              {"top_prototype", targets.mean(0).max().item<double>()},
                              {"feature_spread", spread}},
                             targets.size(1));
  };
  const at::Tensor uniform = torch::full({8, 16}, 1.0 / 16);
  CHECK_THAT(words_for(uniform, 0.5),
             ContainsSubstring("uniform collapse: teacher entropy at ln K (2.77 of 2.77)"));
  CHECK_THAT(words_for(uniform, 0.5), ContainsSubstring("lower dino.teacher_temp"));
  const at::Tensor one = torch::zeros({8, 16}).index_fill_(1, torch::tensor({5}), 1.0);
  CHECK_THAT(words_for(one, 0.5), ContainsSubstring("one prototype takes all: it gets 100%"));
  CHECK_THAT(words_for(one, 0.5), ContainsSubstring("dino.center_momentum"));
  const at::Tensor healthy = torch::eye(16);  // sharp, and each image has its own
  CHECK(words_for(healthy, 0.5).empty());
  CHECK_THAT(words_for(healthy, 0.001), ContainsSubstring("feature collapse"));
  CHECK(describe_collapse({}, 16).empty());
}
