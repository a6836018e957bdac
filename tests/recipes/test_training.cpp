// Every recipe makes steps.
#include <map>

#include "finetune/classifier.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/recipe_files.h"
#include "support/reduced_recipe.h"

using namespace previt;
using namespace previt::test;

namespace {

// Steps of several micro-batches, at a rate that shows even on weights near 1, and without decay,
// which would move what has no gradient, too.
const std::vector<std::string> kReduced = {"train.batch=4",
                                           "train.micro_batch=2",
                                           "train.precision=bf16",
                                           "optimizer.base_lr=0.01",
                                           "optimizer.base_batch=0",
                                           "optimizer.weight_decay=0",
                                           "optimizer.weight_decay_end=-1"};

bool is_finetuning(const std::string& path) {
  auto recipe = Recipe::load(path);
  RunOptions run;
  recipe.read(run);
  return run.objective == "finetune";
}

// A classifier of the run's size to learn from, where the recipe wants one.
std::shared_ptr<const Distillation> distillation_for(const FinetuneRun& run) {
  if (!run.distillation.on()) return nullptr;
  LoadedModel teacher;
  teacher.options = run.options.model;
  teacher.weights = named_tensors(Vit(teacher.options));
  teacher.source = "teacher";
  return std::make_shared<const Distillation>(run.distillation,
                                              DistillationTeacher(teacher, run.options));
}

// Whether prototypes are still frozen in the second epoch.
bool freezes_prototypes(const PretrainRun& run) {
  for (const auto& [key, value] : run.settings()) {
    if (key.ends_with(".freeze_last_layer")) return std::stoll(value) > 1;
  }
  return false;
}

// All parameters that are trained must have moved, but for `frozen` ones, and no other must; a
// moving average's may.
void check_moved(const Objective& objective,
                 const std::map<std::string, at::Tensor>& before,
                 const std::string& frozen) {
  for (const auto& parameter : objective.named_parameters()) {
    const std::string& name = parameter.key();
    if (name.starts_with("teacher.")) continue;
    INFO(name);
    const bool trained = parameter.value().requires_grad() &&
                         (frozen.empty() || name.find(frozen) == std::string::npos);
    CHECK(torch::equal(parameter.value(), before.at(name)) != trained);
  }
}

// The last step of an epoch and the first of the next on random pictures: losses must be finite,
// and the weights must move.
void train_two_steps(Objective& objective,
                     const RunOptions& options,
                     int64_t classes,
                     const std::string& frozen = "") {
  std::map<std::string, at::Tensor> before;
  for (const auto& parameter : objective.named_parameters()) {
    before[parameter.key()] = parameter.value().detach().clone();
  }
  Stepper stepper(objective, options);
  const auto next = [&] {
    Batch batch;
    for (const auto& view : objective.views()) {
      for (int64_t i = 0; i < view.count; ++i) {
        batch.views.push_back(torch::randint(
            256, {options.train.micro(), 3, view.height, view.width}, torch::kUInt8));
      }
    }
    batch.indices = torch::arange(options.train.micro());
    batch.labels = torch::randint(classes, {options.train.micro()}, torch::kInt64);
    return batch;
  };
  StepInfo info{.step = 1, .total_steps = 4, .steps_per_epoch = 2, .epochs = options.train.epochs};
  for (; info.step < 3; ++info.step) {
    const StepOutcome outcome = stepper.step(info, options.train.batch, next);
    CHECK(!outcome.skipped);
    CHECK(std::isfinite(outcome.loss));
    CHECK(outcome.gradient_norm > 0);
  }
  check_moved(objective, before, frozen);
}

}  // namespace

TEST_CASE("every recipe for pretraining loads and trains") {
  for (const auto& path : all_recipes()) {
    if (is_finetuning(path)) continue;
    INFO(path);
    const PretrainRun whole = pretraining(path);
    CHECK(whole.options.train.epochs > 0);
    auto recipe = reduced_recipe(whole.options.objective, path);
    for (const auto& change : kReduced) recipe.set(change);
    // What a recipe does at once may not be possible in parts.
    if (whole.options.train.micro_batch == 0) recipe.set("train.micro_batch=0");
    const PretrainRun run = PretrainRun::read(recipe);
    torch::manual_seed(1);
    const std::string frozen = freezes_prototypes(run) ? "head.last_layer" : "";
    train_two_steps(*run.build(), run.options, 10, frozen);
  }
}

TEST_CASE("every recipe for fine-tuning loads and trains") {
  for (const auto& path : all_recipes()) {
    if (!is_finetuning(path)) continue;
    INFO(path);
    CHECK(finetuning(path).options.train.epochs > 0);
    std::vector<std::string> changes = kSmallModel;
    changes.insert(changes.end(), kReduced.begin(), kReduced.end());
    FinetuneRun run = finetuning(path, changes);
    run.options.model.num_classes = 10;
    torch::manual_seed(1);
    Classifier classifier(std::make_shared<Vit>(run.options.model), run, distillation_for(run));
    train_two_steps(classifier, run.options, 10);
  }
}
