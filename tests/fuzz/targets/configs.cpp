// What people write or other code bases leave beside weights: recipes, options, config.json.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "augment/dataset/synthetic.h"
#include "fuzz/target.h"
#include "json_options.h"
#include "models/weights/load_model.h"
#include "pretrain/run_options.h"
#include "rand_augment_policy.h"
#include "recipe.h"
#include "recipe_writer.h"

namespace previt::fuzz {
namespace {

namespace fs = std::filesystem;

/// A Hugging Face or timm folder of its own with one file replaced.
void load_with(const std::string& fixture, const char* file, const std::string& bytes) {
  const std::string folder = scratch() + fixture;
  if (!fs::exists(folder)) fs::copy(kFixtures + fixture, folder);
  put(folder + "/" + file, bytes);
  load_model(folder);
}

std::string defaults_as_yaml() {
  RecipeWriter writer;
  RunOptions defaults;
  visit(writer, defaults);
  return writer.text();
}

void read_run(Recipe recipe) {
  RunOptions options;
  recipe.read(options);
  recipe.require_all_read();
}

const bool added[] = {
    add({.name = "config_hf",
         .seeds = [] { return fixtures({"hf_beit_a/config.json"}); },
         .parse = [](const std::string& text) { load_with("hf_beit_a", "config.json", text); },
         .inputs = 300,
         .refused = 0}),
    add({.name = "config_timm",
         .seeds = [] { return fixtures({"timm_hub_a/config.json"}); },
         .parse = [](const std::string& text) { load_with("timm_hub_a", "config.json", text); },
         .inputs = 300,
         .refused = 0}),
    add({.name = "config_preprocessor",
         .seeds =
             [] {
               return std::vector<std::string>{
                   R"({"do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],)"
                   R"( "crop_pct": 0.9, "size": {"height": 16, "width": 16}})"};
             },
         .parse =
             [](const std::string& text) {
               load_with("hf_vit_a", "preprocessor_config.json", text);
             },
         .inputs = 300,
         .refused = 0}),
    add({.name = "options_json",
         .seeds = [] { return std::vector{options_to_json(RunOptions()).dump()}; },
         .parse =
             [](const std::string& text) {
               const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
               resolve(options_from_json<RunOptions>(json, "x").model);
             },
         .inputs = 4000}),
    add({.name = "recipe",
         .seeds = [] { return std::vector{defaults_as_yaml()}; },
         .parse = [](const std::string& text) { read_run(Recipe::parse(text, "x.yaml")); },
         .inputs = 1000}),
    add({.name = "recipe_set",
         .seeds =
             [] {
               return std::vector<std::string>{"model.image_size=[16, 32]",
                                               "train.epochs=12",
                                               "data.path='a b'",
                                               "optimizer.name=adamw"};
             },
         .parse =
             [](const std::string& text) {
               Recipe recipe = Recipe::parse("train: {epochs: 3}", "x.yaml");
               recipe.set(text);
               read_run(std::move(recipe));
             }}),
    add({.name = "rand_augment",
         .seeds =
             [] {
               return std::vector<std::string>{"rand-m9-n2-p0.5-mstd0.5-mmax10-inc1", "rand-m9"};
             },
         .parse = [](const std::string& text) { RandAugment::parse(text); }}),
    add({.name = "synthetic",
         .seeds =
             [] {
               return std::vector<std::string>{"shapes,size=16,count=20,val=5,seed=3,labels=1",
                                               "species,size=8",
                                               "flags,size=8"};
             },
         .parse =
             [](const std::string& text) {
               SyntheticOptions options = parse_synthetic(text);
               options.size = std::min<int64_t>(options.size, 16);  // drawing is no parsing
               const auto data = make_synthetic(options, Split::train);
               read_image(*data->reader(), data->size() - 1);
             }}),
};

}  // namespace
}  // namespace previt::fuzz
