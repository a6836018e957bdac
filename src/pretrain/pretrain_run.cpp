#include "pretrain/pretrain_run.h"

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

PretrainRun PretrainRun::read(Recipe& recipe) {
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
  recipe.read(run.options);
  recipe.reader().section("knn", run.knn);
  run.objective->visit_options(recipe.reader());
  recipe.require_all_read();
  run.places = recipe.places();
  run.options.model = run.places.around([&] { return resolve(run.options.model); });
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
