#include <cstdlib>
#include <filesystem>

#include "cli/recipe_path.h"
#include "files.h"
#include "support/catch.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

// PREVIT_RECIPES within a scope.
class RecipesIn {
 public:
  explicit RecipesIn(const std::string& folder) { setenv("PREVIT_RECIPES", folder.c_str(), 1); }
  ~RecipesIn() { unsetenv("PREVIT_RECIPES"); }
};

void write_recipe(const std::string& folder, const std::string& name, const std::string& text) {
  std::filesystem::create_directories(folder + "/" + name.substr(0, name.rfind('/')));
  write_whole_file(folder + "/" + name, text);
}

}  // namespace

TEST_CASE("a recipe is found by its path, by its name, and by the last part of its name") {
  const TempFolder temp;
  const RecipesIn recipes(temp.path());
  write_recipe(temp.path(), "deep/inside/one_of_a_kind.yaml", "# One. More.\n");
  const std::string file = temp.path() + "/deep/inside/one_of_a_kind.yaml";
  for (const std::string& name : {file,
                                  std::string("deep/inside/one_of_a_kind"),
                                  std::string("deep/inside/one_of_a_kind.yaml"),
                                  std::string("one_of_a_kind"),
                                  std::string("one_of_a_kind.yaml")}) {
    CHECK(cli::find_recipe(name) == file);
  }
  CHECK_THROWS_WITH(cli::find_recipe("one_of_a_king.yaml"),
                    "--recipe: one_of_a_king.yaml: no such file, and no recipe of that name; did "
                    "you mean one_of_a_kind?; --list-recipes shows them");
}

TEST_CASE("of several recipes of one name the quickstart's is meant, else none") {
  const TempFolder temp;
  const RecipesIn recipes(temp.path());
  write_recipe(temp.path(), "a/twin_recipe.yaml", "");
  write_recipe(temp.path(), "b/twin_recipe.yaml", "");
  CHECK_THROWS_WITH(cli::find_recipe("twin_recipe"),
                    "--recipe: twin_recipe may be a/twin_recipe or b/twin_recipe");
  write_recipe(temp.path(), "quickstart/twin_recipe.yaml", "");
  CHECK(cli::find_recipe("twin_recipe.yaml") == temp.path() + "/quickstart/twin_recipe.yaml");
}

TEST_CASE("programs know the recipes of their source tree from any folder, and list them") {
  const auto printed =
      test::run_program(test::program("pretrain"), {"--recipe", "mae.yaml", "--print-recipe"});
  CHECK(printed.code == 0);
  CHECK_THAT(printed.output, ContainsSubstring("objective: mae"));
  const auto list = test::run_program(test::program("finetune"), {"--list-recipes"});
  CHECK(list.code == 0);
  CHECK_THAT(list.output, ContainsSubstring("\nquickstart/mae "));
  CHECK_THAT(list.output, ContainsSubstring(" pretrain         MAE on generated flags"));
  CHECK_THAT(list.output, ContainsSubstring(" finetune         Fine-tuning of quickstart/beit"));
  CHECK_THAT(list.output, ContainsSubstring(" train_tokenizer  An image tokenizer for generated"));
}
