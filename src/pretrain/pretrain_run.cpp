#include "pretrain/pretrain_run.h"

namespace previt {
namespace {

struct Method {
  std::string name;
  Choices known;
};
void visit(FieldVisitor& v, Method& o) { v.field("objective", o.name, "", o.known); }

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
  RunOptions all = options;
  visit(writer, all);
  objective->visit_options(writer);
  return writer.text();
}

}  // namespace previt
