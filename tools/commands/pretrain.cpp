#include "commands/pretrain.h"

#include <torch/utils.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "augment/encode_png.h"
#include "augment/open_dataset.h"
#include "augment/open_tensor_file.h"
#include "cli/device.h"
#include "cli/from_option.h"
#include "cli/main.h"
#include "cli/recipe_path.h"
#include "commands/knn_score.h"
#include "commands/machine_choices.h"
#include "commands/start_options.h"
#include "commands/training_data.h"
#include "log.h"
#include "pretrain/start_from.h"
#include "pretrain/train/stop_signal.h"
#include "pretrain/train/trainer.h"
#include "run_lock.h"

namespace previt::cli {
namespace {

std::string quoted(const std::string& word) {
  const bool plain = word.find_first_of(" \t'\"$&;()*?<>|\\`[]{}#~!") == std::string::npos;
  if (plain && !word.empty()) return word;
  std::string safe = "'";
  for (const char c : word) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

void require_product(Objective& objective, const std::string& name, Product product) {
  const bool has_backbone = objective.backbone() != nullptr;
  if (product == Product::backbone && !has_backbone) {
    fail_usage("objective: {} makes an image tokenizer; use train_tokenizer", name);
  }
  if (product == Product::tokenizer && has_backbone) {
    fail_usage("objective: {} makes a backbone, not an image tokenizer; use pretrain", name);
  }
}

RunRecord record_of(const PretrainRun& run, const std::string& command, Product product) {
  RunRecord record;
  if (product == Product::tokenizer) record.title = "image tokenizer, " + run.options.objective;
  record.command = command;
  record.recipe = run.resolved();
  record.settings = run.settings();
  return record;
}

// Loads the weights that the run starts from, if any, and tells what became of them.
std::vector<std::string> start(Objective& objective, PretrainRun& run) {
  if (!run.source) return {};
  const StartOptions& options = run.options.start;
  auto lines = start_from(objective, *run.source, options.allow).lines();
  lines.front() += ", xxh64 " + options.from_checksum;
  run.source.reset();  // its memory is the run's to use
  return lines;
}

int train_run(PretrainRun& run,
              const po::variables_map& args,
              const std::string& command,
              Product product) {
  const RunOptions& options = run.options;
  const std::string folder = run_folder(args);
  ignore_broken_pipes();
  const RunLock lock(folder);
  const at::Device device = choose_device(args["device"].as<std::string>());
  if (options.train.threads > 0) at::set_num_threads(static_cast<int>(options.train.threads));
  const bool resume = args.count("resume") != 0;
  decide_for_machine(run.options, device, resume ? folder : "");
  torch::manual_seed(static_cast<uint64_t>(options.train.seed));
  const auto objective = run.build(open_tensor_file);
  require_product(*objective, options.objective, product);
  const auto started_from = start(*objective, run);
  objective->to(device);
  const auto images = open_dataset(options.data.path, Split::train, folder);
  info("{}: {} images", options.data.path, images->size());
  const auto source = training_source(options, images, objective->views(), device);
  TrainCallbacks callbacks;
#ifdef PREVIT_WITH_IMAGE_IO
  callbacks.encode_png = encode_png;
#endif
  if (product == Product::backbone) {
    callbacks.evaluate = knn_score(run, *objective, images, folder);
    callbacks.evaluate_epochs = run.knn.epochs;
  }
  RunRecord record = record_of(run, command, product);
  record.started_from = started_from;
  return train(*objective, *source, options, folder, resume, record, callbacks);
}

}  // namespace

po::options_description pretrain_options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("recipe",
      po::value<std::string>()->required(),
      "YAML file that describes the run, or a name that --list-recipes shows");
  add("list-recipes", "print the recipes that have a name and end");
  add("data",
      po::value<std::string>(),
      "image folder, .h5 pack, CIFAR-10 folder or synthetic:SPEC; instead of data.path");
  add_start_options(options);
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
  Recipe recipe = Recipe::load(find_recipe(args["recipe"].as<std::string>()));
  apply_settings(recipe, args);
  apply_start_options(recipe, args);
  const auto source = load_source(recipe, args.count("resume") != 0 ? run_folder(args) : "");
  PretrainRun run = PretrainRun::read(recipe, source.get());
  if (source && !source->weights.empty()) run.source = source;
  if (args.count("data") != 0) run.options.data.path = args["data"].as<std::string>();
  return run;
}

std::string run_folder(const po::variables_map& args) {
  if (args.count("out") != 0) return args["out"].as<std::string>();
  return "runs/" + std::filesystem::path(args["recipe"].as<std::string>()).stem().string();
}

int pretrain(const po::variables_map& args, const std::string& command, Product product) {
  PretrainRun run = read_pretrain_run(args);
  if (args.count("print-recipe") != 0) {
    print(run.resolved());
    return 0;
  }
  return run.places.around([&] { return train_run(run, args, command, product); });
}

std::string command_line(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) words.push_back(quoted(argv[i]));
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace previt::cli
