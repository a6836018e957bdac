#include <limits>

#include "error.h"
#include "pretrain/train/gradients.h"
#include "pretrain/train/optimizer.h"
#include "support/catch.h"

using namespace previt;

namespace {

TrainedParameter parameter(const std::string& name,
                           std::vector<float> values,
                           ParamRule rule = {}) {
  return {name, torch::tensor(values).requires_grad_(), rule};
}

void set_gradient(TrainedParameter& p, std::vector<float> values) {
  p.tensor.mutable_grad() = torch::tensor(values);
}

}  // namespace

TEST_CASE("AdamW's first steps by hand") {
  auto p = parameter("w", {1.0F, -2.0F}, {.lr_scale = 0.5, .decay = true});
  auto q = parameter("b", {1.0F, -2.0F}, {.lr_scale = 1, .decay = false});
  auto idle = parameter("idle", {3.0F});
  OptimizerOptions options;
  options.betas = {0.9, 0.99};
  const auto optimizer = make_optimizer(options, {p, q, idle});
  std::vector<double> mean(2), square(2), w = {1, -2}, b = {1, -2};
  const std::vector<std::vector<float>> gradients = {{0.3F, -4.0F}, {1.0F, 2.0F}};
  for (int t = 1; t <= 2; ++t) {
    const auto& g = gradients[t - 1];
    set_gradient(p, g);
    set_gradient(q, g);
    optimizer->step(0.1, 0.2);
    for (int i = 0; i < 2; ++i) {
      mean[i] = 0.9 * mean[i] + 0.1 * g[i];
      square[i] = 0.99 * square[i] + 0.01 * g[i] * g[i];
      const double step = mean[i] / (1 - std::pow(0.9, t)) /
                          (std::sqrt(square[i] / (1 - std::pow(0.99, t))) + options.eps);
      w[i] = w[i] * (1 - 0.05 * 0.2) - 0.05 * step;
      b[i] -= 0.1 * step;
    }
  }
  for (int i = 0; i < 2; ++i) {
    CHECK(p.tensor[i].item<double>() == Approx(w[i]).epsilon(1e-5));
    CHECK(q.tensor[i].item<double>() == Approx(b[i]).epsilon(1e-5));
  }
  CHECK(idle.tensor.item<double>() == 3);  // no gradient: no decay either
  CHECK(optimizer->state().count("step.idle") == 0);
}

TEST_CASE("AdamW leaves out a step that the device doesn't want, its count too") {
  const auto made = [](bool wanted) { return torch::tensor(wanted); };
  auto p = parameter("w", {1.0F, -2.0F}), q = parameter("w", {1.0F, -2.0F});
  const auto optimizer = make_optimizer({}, {p}), plain = make_optimizer({}, {q});
  set_gradient(p, {std::numeric_limits<float>::quiet_NaN(), 1});
  optimizer->step(0.1, 0.2, made(false));
  CHECK(torch::equal(p.tensor, torch::tensor({1.0F, -2.0F})));
  for (int i = 0; i < 2; ++i) {
    set_gradient(p, {0.3F, -4});
    set_gradient(q, {0.3F, -4});
    optimizer->step(0.1, 0.2, made(true));
    plain->step(0.1, 0.2);
  }
  CHECK(torch::equal(p.tensor, q.tensor));
  CHECK(optimizer->state().at("step.w").item<double>() == 2);
}

TEST_CASE("what is clipped on the device is what the host would clip, bit for bit") {
  const auto clipped = [](double max_norm, auto clip) {
    auto p = parameter("w", {0, 0}), q = parameter("b", {0});
    set_gradient(p, {3, 4.1F});
    set_gradient(q, {0.7F});
    auto r = parameter("of another", {0});
    set_gradient(r, {1.9F});
    r.rule.network = 1;
    Gradients gradients({p, q, r});
    clip(gradients, max_norm);
    return torch::cat({p.tensor.grad(), q.tensor.grad(), r.tensor.grad()});
  };
  const double max_norm = GENERATE(100, 2.3, 0.1);
  CHECK(torch::equal(
      clipped(max_norm, [](Gradients& g, double m) { g.clip_global_there(g.norm(), m); }),
      clipped(max_norm,
              [](Gradients& g, double m) { g.clip_global(g.norm().item<double>(), m); })));
  CHECK(torch::equal(clipped(max_norm, [](Gradients& g, double m) { g.clip_per_network_there(m); }),
                     clipped(max_norm, [](Gradients& g, double m) { g.clip_per_network(m); })));
  CHECK(
      torch::equal(clipped(max_norm, [](Gradients& g, double m) { g.clip_per_parameter_there(m); }),
                   clipped(max_norm, [](Gradients& g, double m) { g.clip_per_parameter(m); })));
}

TEST_CASE("SGD's momentum starts at the first gradient, and decay goes into it") {
  auto p = parameter("w", {1.0F});
  OptimizerOptions options;
  options.name = OptimizerKind::sgd;
  options.momentum = 0.5;
  const auto optimizer = make_optimizer(options, {p});
  set_gradient(p, {2.0F});
  optimizer->step(0.1, 0.5);  // m = 2 + 0.5; w = 1 - 0.25
  CHECK(p.tensor.item<double>() == Approx(0.75));
  optimizer->step(0.1, 0);  // m = 1.25 + 2; w = 0.75 - 0.325
  CHECK(p.tensor.item<double>() == Approx(0.425));
}

TEST_CASE("a step is seen by whoever keeps copies of the weights") {
  OptimizerOptions options;
  options.name = GENERATE(OptimizerKind::adamw, OptimizerKind::sgd, OptimizerKind::lars);
  auto p = parameter("w", {1.0F});
  const auto optimizer = make_optimizer(options, {p});
  set_gradient(p, {2.0F});
  const auto version = p.tensor._version();
  optimizer->step(0.1, 0);
  CHECK(p.tensor._version() > version);
}

TEST_CASE("an optimizer goes on from its saved state") {
  OptimizerOptions options;
  options.name = GENERATE(OptimizerKind::adamw, OptimizerKind::sgd, OptimizerKind::lars);
  auto a = TrainedParameter{"w", torch::ones({2, 3}).requires_grad_(), {}};
  const auto first = make_optimizer(options, {a});
  a.tensor.mutable_grad() = torch::arange(6.0).view({2, 3});
  first->step(0.1, 0.1);

  auto b = TrainedParameter{"w", a.tensor.detach().clone().requires_grad_(), {}};
  const auto second = make_optimizer(options, {b});
  NamedTensors saved;
  for (const auto& [key, tensor] : first->state()) saved[key] = tensor.clone();
  second->load_state(saved);
  b.tensor.mutable_grad() = a.tensor.grad().clone();
  first->step(0.1, 0.1);
  second->step(0.1, 0.1);
  CHECK(torch::equal(a.tensor, b.tensor));

  saved["momentum.other"] = torch::zeros({1});
  CHECK_THROWS_AS(second->load_state(saved), Error);
}

TEST_CASE("clipping is global, by network, or by parameter") {
  std::vector<TrainedParameter> parameters = {parameter("a", {0, 0}), parameter("b", {0})};
  const auto reset = [&] {
    set_gradient(parameters[0], {3, 4});
    set_gradient(parameters[1], {0.5});
  };
  reset();
  Gradients gradients(parameters);
  const double norm = gradients.norm().item<double>();
  CHECK(norm == Approx(std::sqrt(25.25)));
  gradients.clip_global(norm, 1);
  CHECK(parameters[0].tensor.grad()[1].item<double>() == Approx(4 / norm));
  CHECK(parameters[1].tensor.grad().item<double>() == Approx(0.5 / norm));

  reset();
  Gradients(parameters).clip_global(norm, 100);  // below the limit: as it is
  CHECK(parameters[0].tensor.grad()[1].item<double>() == 4);

  reset();
  Gradients(parameters).clip_per_parameter(1);
  CHECK(parameters[0].tensor.grad()[1].item<double>() == Approx(0.8));
  CHECK(parameters[1].tensor.grad().item<double>() == Approx(0.5).epsilon(1e-12));

  reset();
  parameters[1].rule.network = 1;
  parameters.push_back(parameter("c", {0}));
  parameters.back().rule.network = 1;
  set_gradient(parameters[2], {1.2F});
  Gradients(parameters).clip_per_network(1);
  CHECK(parameters[0].tensor.grad()[1].item<double>() == Approx(0.8));
  CHECK(parameters[1].tensor.grad().item<double>() == Approx(0.5 / 1.3));
  CHECK(parameters[2].tensor.grad().item<double>() == Approx(1.2 / 1.3));
}
