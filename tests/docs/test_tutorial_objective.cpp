// The code in docs/tutorial_objective.md, which tests/CMakeLists.txt takes out of the page.
#include <algorithm>
#include <cmath>

#include "files.h"
#include "pretrain/registry.h"
#include "recipe.h"
#include "support/catch.h"
#include "support/reduced_recipe.h"

namespace previt {
void register_tutorial_rotation(ObjectiveRegistry& registry);
}

using namespace previt;

namespace {

std::shared_ptr<Objective> rotation(const std::vector<std::string>& changes = {}) {
  ObjectiveRegistry registry;
  register_tutorial_rotation(registry);
  const auto objective = registry.make("rotation");
  Recipe recipe = Recipe::parse("");
  for (const auto& assignment : test::kSmallModel) recipe.set(assignment);
  for (const auto& assignment : changes) recipe.set(assignment);
  RunOptions run;
  objective->set_defaults(run);
  recipe.read(run);
  objective->visit_options(recipe.reader());
  recipe.require_all_read();
  torch::manual_seed(7);
  return objective->build(run, {});
}

// Bright above, dark below: which way up is easily seen.
Batch upright(int64_t count) {
  torch::manual_seed(5);
  const at::Tensor slope = torch::linspace(1, -1, 16).view({1, 1, 16, 1});
  Batch batch;
  batch.views = {slope + 0.1 * torch::randn({count, 3, 16, 16})};
  batch.indices = torch::arange(count);
  return batch;
}

double descend(Objective& objective, const Batch& batch) {
  objective.zero_grad();
  const at::Tensor loss = objective.step(batch, {}).loss;
  loss.backward();
  const torch::NoGradGuard no_grad;
  for (auto& parameter : objective.parameters()) {
    if (parameter.grad().defined()) parameter.sub_(0.1 * parameter.grad());
  }
  return loss.item<double>();
}

}  // namespace

TEST_CASE("the tutorial's objective learns which way up an image is") {
  for (const char* all_turns : {"true", "false"}) {
    INFO("rotation.all_turns=" << all_turns);
    const auto objective = rotation({std::string("rotation.all_turns=") + all_turns});
    const Batch batch = upright(8);
    const double first = descend(*objective, batch), second = descend(*objective, batch);
    CHECK(first == Approx(std::log(4)).margin(0.2));
    CHECK(std::isfinite(second));
    double last = second;
    for (int step = 0; step < 60; ++step) last = descend(*objective, batch);
    CHECK(last < 0.5 * first);
  }
}

TEST_CASE("the tutorial's objective says which turn it takes an image for") {
  const auto objective = rotation();
  const auto metrics = objective->step(upright(2), {}).metrics;
  REQUIRE(metrics.size() == 1);
  CHECK(metrics.front().first == "turn_accuracy");
  const double eighths = 8 * metrics.front().second.item<double>();  // 2 images in 4 turns
  CHECK(eighths == std::round(eighths));
  CHECK_THROWS_AS(rotation({"model.image_size=[16, 32]"}), UsageError);
}

TEST_CASE("the tutorial's code is at most 70 lines long") {
  const std::string code = read_whole_file(PREVIT_TUTORIAL_OBJECTIVE);
  const auto lines = std::count(code.begin(), code.end(), '\n');
  CHECK(lines > 20);
  CHECK(lines <= 70);
}
