#include <algorithm>

#include "docs/option_tables.h"
#include "docs/page.h"
#include "error.h"
#include "finetune/finetune_options.h"
#include "finetune/probes/linear_probe.h"
#include "pretrain/pretrain_run.h"

using namespace previt;
using test::ListedOption;
using test::ListedSection;
using test::OptionTables;

namespace {

template <class Options>
OptionTables tables_of(Options options) {
  OptionTables tables;
  visit(tables, options);
  return tables;
}

// Everything that a recipe for this objective may say, with the official defaults.
OptionTables objective_tables(const ObjectiveRegistry& registry, const std::string& name) {
  RunOptions run;
  run.objective = name;
  const auto objective = registry.make(name);
  objective->set_defaults(run);
  KnnScoreOptions knn;
  OptionTables tables;
  visit(tables, run);
  tables.section("knn", knn);
  objective->visit_options(tables);
  return tables;
}

OptionTables finetune_tables() { return tables_of(finetune_defaults({.arch = "vit_base"}, true)); }

OptionTables probe_tables(const std::string& protocol) {
  Recipe recipe = Recipe::parse("protocol: " + protocol);
  return tables_of(LinearProbeOptions::read(recipe, resolve({.arch = "vit_base"})));
}

std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '|' ? std::string("\\|") : std::string(1, c);
  return safe;
}

std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

std::string table(const std::vector<ListedOption>& options) {
  std::string text = "| key | default | allowed | meaning |\n|---|---|---|---|\n";
  for (const auto& o : options) {
    text += fmt::format(
        "| {} | {} | {} | {} |\n", code(o.name), code(o.value), cell(o.allowed), cell(o.help));
  }
  return text + "\n";
}

std::string key_of(const ListedSection& section, const ListedOption& option) {
  return section.path.empty() ? option.name : section.path + "." + option.name;
}

const ListedSection* find(const OptionTables& tables, const std::string& path) {
  for (const auto& section : tables.sections()) {
    if (section.path == path) return &section;
  }
  return nullptr;
}

// "`model.arch: vit_small`, …": where a section has other values than its namesake in `usual`.
std::string differences(const ListedSection& section, const ListedSection& usual) {
  std::vector<std::string> changed;
  for (size_t i = 0; i < section.options.size(); ++i) {
    const ListedOption& option = section.options[i];
    if (option.name == "objective" || option.value == usual.options.at(i).value) continue;
    changed.push_back(code(fmt::format("{}: {}", key_of(section, option), option.value)));
  }
  return fmt::format("{}", fmt::join(changed, ", "));
}

std::string shared_differences(const OptionTables& tables, const OptionTables& shared) {
  std::vector<std::string> parts;
  for (const auto& section : tables.sections()) {
    const ListedSection* usual = find(shared, section.path);
    const std::string changed = usual == nullptr ? "" : differences(section, *usual);
    if (!changed.empty()) parts.push_back(changed);
  }
  if (parts.empty()) return "Its defaults are those of the shared sections.\n\n";
  return fmt::format("Its own defaults in the shared sections: {}.\n\n", fmt::join(parts, ", "));
}

bool same_keys(const ListedSection& a, const ListedSection& b) {
  return std::equal(a.options.begin(),
                    a.options.end(),
                    b.options.begin(),
                    b.options.end(),
                    [](const auto& x, const auto& y) { return x.name == y.name; });
}

// The sections that `shared` lacks; a view is told by how it differs from the table of views.
std::string own_sections(const OptionTables& tables, const OptionTables& shared) {
  ListedSection view = tables_of(ViewSpec{}).sections().front();
  std::string text;
  for (const auto& section : tables.sections()) {
    if (section.options.empty() || find(shared, section.path) != nullptr) continue;
    text += fmt::format("**`{}:`**\n\n", section.path);
    if (!same_keys(section, view)) {
      text += table(section.options);
      continue;
    }
    const std::string changed = differences(section, view);
    text += changed.empty() ? "A [view](#views).\n\n"
                            : fmt::format("A [view](#views) with {}.\n\n", changed);
  }
  return text;
}

const char* const kIntroduction =
    "# Recipes\n\n"
    "What a recipe may say: every key, its default and what it takes. This page is made from the\n"
    "code that reads recipes (`tests/docs`); the numbers that the defaults come from are in\n"
    "[official_settings.md](official_settings.md).\n\n"
    "A recipe is YAML. `base: other.yaml` takes over another one, looked for from the recipe's "
    "own\n"
    "folder; `--set key.path=value` comes on top. `[` and `]` in a range belong to it, `(` and "
    "`)`\n"
    "do not. A key that means nothing is an error.\n\n";

std::string recipe_page() {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  const OptionTables shared = tables_of(RunOptions{});
  std::string text = std::string(kIntroduction) + "## Sections of every run\n\n";
  for (const auto& section : shared.sections()) {
    if (!section.path.empty()) text += fmt::format("### `{}:`\n\n", section.path);
    text += table(section.options);
  }
  text += "## Views\n\nHow the images that a network sees are cut out and changed.\n\n" +
          table(tables_of(ViewSpec{}).sections().front().options);

  text += "## Pretraining\n\n`pretrain` and `train_tokenizer` also take:\n\n### `knn:`\n\n" +
          table(tables_of(KnnScoreOptions{}).sections().front().options);
  OptionTables common = shared;
  KnnScoreOptions knn;
  common.section("knn", knn);
  for (const auto& name : registry.names()) {
    const OptionTables own = objective_tables(registry, name);
    text += fmt::format("### `objective: {}`\n\n", name) + shared_differences(own, common) +
            own_sections(own, common);
  }

  const OptionTables finetune = finetune_tables();
  text +=
      "## Fine-tuning\n\nDefaults of a ViT-B from a checkpoint; other sizes have their own.\n\n" +
      shared_differences(finetune, shared) + own_sections(finetune, shared);

  text +=
      "## Linear probe\n\nWhat `linear_probe --set` and its `--recipe` take; defaults of a "
      "ViT-B.\n\n";
  const OptionTables dino = probe_tables("dino");
  text += table(dino.sections().front().options);
  for (const char* protocol : {"mae", "beit"}) {
    text += fmt::format(
        "With `protocol: {}`: {}.\n\n",
        protocol,
        differences(probe_tables(protocol).sections().front(), dino.sections().front()));
  }
  text.pop_back();
  return text;
}

}  // namespace

TEST_CASE("every option of a recipe has a help text", "[docs]") {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  for (const auto& name : registry.names()) {
    INFO(name);
    CHECK(objective_tables(registry, name).without_help() == std::vector<std::string>{});
  }
  CHECK(finetune_tables().without_help() == std::vector<std::string>{});
  CHECK(probe_tables("dino").without_help() == std::vector<std::string>{});

  OptionTables tables;
  int64_t number = 0;
  tables.FieldVisitor::field("number", number, "");
  CHECK(tables.without_help() == std::vector<std::string>{".number"});
}

TEST_CASE("docs/recipes.md says what recipes take", "[docs]") {
  test::check_page("recipes.md", recipe_page());
}
