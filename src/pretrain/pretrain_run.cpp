#include "pretrain/pretrain_run.h"

namespace previt {
namespace {

struct Method {
  std::string name;
  Choices known;
};
void visit(FieldVisitor& v, Method& o) { v.field("objective", o.name, "", o.known); }

void visit_all(FieldVisitor& v, RunOptions options, ObjectiveRecipe& objective) {
  visit(v, options);
  objective.visit_options(v);
}

}  // namespace

PretrainRun PretrainRun::read(Recipe& recipe) {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  PretrainRun run;
  Method method{run.options.objective, registry.names()};
  recipe.read(method);
  run.objective = registry.make(method.name);
  run.objective->set_defaults(run.options);
  recipe.read(run.options);
  run.objective->visit_options(recipe.reader());
  recipe.require_all_read();
  run.options.model = resolve(run.options.model);
  return run;
}

std::string PretrainRun::resolved() const {
  RecipeWriter writer;
  visit_all(writer, options, *objective);
  return writer.text();
}

Settings PretrainRun::settings() const {
  SettingsList list;
  visit_all(list, options, *objective);
  return list.settings();
}

}  // namespace previt
