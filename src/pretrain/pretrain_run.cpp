#include "pretrain/pretrain_run.h"

#include "error.h"
#include "pretrain/source_architecture.h"
#include "pretrain/train/freezing.h"
#include "recipe_writer.h"

namespace previt {
namespace {

struct Method {
  std::string name;
  Choices known;
};
void visit(FieldVisitor& v, Method& o) {
  v.field("objective", o.name, "the pretraining method", o.known);
}

void visit_all(FieldVisitor& v,
               RunOptions options,
               KnnScoreOptions knn,
               ObjectiveRecipe& objective) {
  visit(v, options);
  v.section("knn", knn);
  objective.visit_options(v);
}

void resolve_model(RunOptions& run, const Recipe& recipe, const LoadedModel* source) {
  if (source != nullptr && run.model.num_heads == 0 && !recipe.has("model.arch")) {
    fail_usage("model.num_heads: {} does not say how many attention heads it has; set it",
               source->source);
  }
  run.model = resolve(run.model);
  const auto said = [&](const std::string& key) { return recipe.has("model." + key); };
  if (source != nullptr) require_source_fits(run.model, *source, said);
  require_freezable(run, /*loaded=*/!run.start.from.empty());
}

}  // namespace

void visit(FieldVisitor& v, KnnScoreOptions& o) {
  v.field("epochs", o.epochs, "score the features every so many epochs; 0: never", at_least(0));
  v.field("k", o.k, "neighbours that vote", at_least(1));
  v.field("temperature", o.temperature, "of their votes", above(0));
  v.field("train_images", o.train_images, "compared with at the most", at_least(1));
  v.field("test_images", o.test_images, "classified at the most", at_least(1));
}

std::string objective_in(Recipe& recipe, const std::string& otherwise, const Choices& known) {
  Method method{otherwise, known};
  recipe.read(method);
  return method.name;
}

PretrainRun PretrainRun::read(Recipe& recipe, const LoadedModel* source) {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  PretrainRun run;
  // First without the list of methods, as `finetune` gets a message of its own.
  const std::string asked = objective_in(recipe, run.options.objective);
  if (asked == "finetune" || (!recipe.has("objective") && recipe.has("finetune"))) {
    recipe.fail_at("objective", "finetune is for fine-tuning; use finetune");
  }
  run.objective = registry.make(objective_in(recipe, asked, registry.names()));
  run.objective->set_defaults(run.options);
  if (source != nullptr) take_architecture(*source, recipe.has("model.arch"), run.options);
  recipe.read(run.options);
  recipe.reader().section("knn", run.knn);
  run.objective->visit_options(recipe.reader());
  recipe.require_all_read();
  run.places = recipe.places();
  run.places.around([&] { resolve_model(run.options, recipe, source); });
  return run;
}

std::string PretrainRun::resolved() const {
  RecipeWriter writer;
  visit_all(writer, options, knn, *objective);
  return writer.text();
}

Settings PretrainRun::settings() const {
  SettingsList list;
  visit_all(list, options, knn, *objective);
  return list.settings();
}

}  // namespace previt
