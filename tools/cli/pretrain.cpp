#include "cli/pretrain.h"

#include <filesystem>
#include <vector>

namespace previt::cli {
namespace {

std::string quoted(const std::string& word) {
  const bool plain = word.find_first_of(" \t'\"$&;()*?<>|\\`[]{}#~!") == std::string::npos;
  if (plain && !word.empty()) return word;
  std::string safe = "'";
  for (const char c : word) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

}  // namespace

po::options_description pretrain_options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("recipe", po::value<std::string>()->required(), "YAML file that describes the run");
  add("data",
      po::value<std::string>(),
      "image folder, .h5 pack, CIFAR-10 folder or synthetic:SPEC; instead of data.path");
  add("out", po::value<std::string>(), "run folder; runs/<recipe> when not given");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key.path=value on top of the recipe; may be given again");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  add("resume", "go on from the last good checkpoint of the run folder");
  add("print-recipe", "print the fully resolved recipe and end");
  return options;
}

PretrainRun read_pretrain_run(const po::variables_map& args) {
  Recipe recipe = Recipe::load(args["recipe"].as<std::string>());
  if (args.count("set") != 0) {
    for (const auto& assignment : args["set"].as<std::vector<std::string>>()) {
      recipe.set(assignment);
    }
  }
  PretrainRun run = PretrainRun::read(recipe);
  if (args.count("data") != 0) run.options.data.path = args["data"].as<std::string>();
  return run;
}

std::string run_folder(const po::variables_map& args) {
  if (args.count("out") != 0) return args["out"].as<std::string>();
  return "runs/" + std::filesystem::path(args["recipe"].as<std::string>()).stem().string();
}

std::string command_line(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) words.push_back(quoted(argv[i]));
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace previt::cli
