#include "commands/pretrain.h"

#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "augment/encode_png.h"
#include "augment/open_dataset.h"
#include "augment/open_tensor_file.h"
#include "cli/device.h"
#include "cli/from_option.h"
#include "cli/launch.h"
#include "cli/main.h"
#include "cli/new_start.h"
#include "cli/recipe_path.h"
#include "commands/export_run.h"
#include "commands/first_steps.h"
#include "commands/knn_score.h"
#include "commands/machine_choices.h"
#include "commands/start_options.h"
#include "commands/training_data.h"
#include "communicator.h"
#include "cores.h"
#include "log.h"
#include "models/weights/weights.h"
#include "pretrain/start_from.h"
#include "pretrain/train/micro_batch_choice.h"
#include "pretrain/train/resume_check.h"
#include "pretrain/train/same_start.h"
#include "pretrain/train/stop_signal.h"
#include "pretrain/train/time_budget.h"
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

void require_product(Objective& objective, const RunOptions& run, Product product) {
  const std::string& name = run.objective;
  const ExportFormat exported = run.output.export_format;
  const bool has_backbone = objective.backbone() != nullptr;
  if (product == Product::backbone && !has_backbone) {
    fail_usage("objective: {} makes an image tokenizer; use train_tokenizer", name);
  }
  if (product == Product::tokenizer && has_backbone) {
    fail_usage("objective: {} makes a backbone, not an image tokenizer; use pretrain", name);
  }
  if (product == Product::tokenizer && exported != ExportFormat::none) {
    fail_usage("output.export: {} has no such image tokenizer", name_of(exported));
  }
}

// What output.export would have to express, with the weights of now.
LoadedModel pretrained_model(const PretrainRun& run, Objective& objective) {
  const auto vit = objective.backbone();
  LoadedModel model;
  model.options = vit->options();
  model.weights = named_tensors(*vit);
  model.normalize = run.options.normalize;
  run.objective->lay_out(named_tensors(objective), model);
  return model;
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
std::vector<std::string> start(Objective& objective,
                               const LoadedModel* weights,
                               const StartOptions& options) {
  if (weights == nullptr) return {};
  auto lines = start_from(objective, *weights, options.allow).lines();
  lines.front() += ", xxh64 " + options.from_checksum;
  return lines;
}

// How a command wants its run.
struct Command {
  std::string text;
  Product product;
  std::string folder;
  at::Device device;
  FirstSteps first_steps;
  bool resume;
};

// Decides by the first steps what is left to them.
void try_first_steps(PretrainRun& run, const Command& command, std::shared_ptr<Dataset>& images) {
  const bool automatic = run.options.train.micro_batch == kAutomatic;
  FirstSteps asked = command.first_steps;
  if (!automatic && asked.time_budget == 0 && !asked.tell_time) return;
  if (!command.resume) require_no_run(command.folder);
  if (!images) images = open_dataset(run.options.data.path, Split::train, command.folder);
  if (command.product == Product::backbone && run.knn.epochs > 0 &&
      !images->class_names().empty()) {
    asked.images_scored = std::min(run.knn.train_images, images->size()) +
                          std::min(run.knn.test_images, images->size());
  }
  asked.in_main_memory = command.device.is_cpu();
  asked.sharers = local_processes();
  decide_by_first_steps(run, asked, [&](const RunOptions& options) {
    const auto objective = run.objective->build(options, open_tensor_file);
    require_product(*objective, options, command.product);
    objective->to(command.device);
    return std::make_unique<Trial>(
        objective, training_source(options, images, objective->views(), command.device), options);
  });
}

int train_once(const PretrainRun& run,
               const Command& command,
               bool resume,
               std::shared_ptr<Dataset> images,
               std::shared_ptr<const LoadedModel> weights) {
  const auto& [text, product, folder, device, first_steps, _] = command;
  const RunOptions& options = run.options;
  torch::manual_seed(static_cast<uint64_t>(options.train.seed));
  const auto objective = run.build(open_tensor_file);
  require_product(*objective, options, product);
  if (product == Product::backbone) {
    require_exportable(options, [&] { return pretrained_model(run, *objective); });
  }
  RunRecord record = record_of(run, text, product);
  record.started_from = start(*objective, weights.get(), options.start);
  weights.reset();  // their memory is the run's to use
  objective->to(device);
  if (!images) images = open_dataset(options.data.path, Split::train, folder);
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
  const int code = train(*objective, *source, options, folder, resume, record, callbacks);
  if (code == 0 && world().leads()) {
    export_run(options, folder);
    info("report: {}/report.html", folder);
  }
  return code;
}

int train_run(PretrainRun& run, const Command& command, std::shared_ptr<Dataset> images) {
  TrainOptions& train = run.options.train;
  ignore_broken_pipes();
  std::optional<RunLock> lock;
  if (world().leads()) lock.emplace(command.folder);
  require_same_settings(run.settings());
  train.require_shareable();
  if (train.threads > 0) at::set_num_threads(static_cast<int>(train.threads));
  const int64_t too_many = images_before_new_start();
  const bool automatic = train.micro_batch == kAutomatic || too_many > 0;
  decide_for_machine(run.options, command.device, command.resume ? command.folder : "");
  try_first_steps(run, command, images);
  if (too_many > 0) halve(train, too_many);
  auto weights = std::exchange(run.source, nullptr);
  int code = 0;
  if (!world().alone()) {
    require_that_it_fits(
        train,
        [&] { code = train_once(run, command, command.resume, images, std::move(weights)); },
        [&](int64_t images_at_a_time) {
          // Without a recipe the run has not begun, so that fewer images are no help.
          return automatic && std::filesystem::exists(command.folder + "/recipe.yaml") &&
                 ask_for_new_start(images_at_a_time);
        });
    return code;
  }
  if (!automatic) return train_once(run, command, command.resume, images, std::move(weights));
  bool resume = command.resume;  // later from what the attempt before has left
  halve_until_it_fits(train, [&] {
    code = train_once(run, command, std::exchange(resume, true), images, weights);
  });
  return code;
}

}  // namespace

po::options_description pretrain_options(Product product) {
  po::options_description options("Options");
  auto add = options.add_options();
  const bool chooses = product == Product::backbone;
  auto* recipe = po::value<std::string>();
  add("recipe",
      chooses ? recipe : recipe->required(),
      chooses
          ? "YAML file that describes the run, or a name that --list-recipes shows; without it, "
            "one is chosen for the images of --data"
          : "YAML file that describes the run, or a name that --list-recipes shows");
  add("list-recipes", "print the recipes that have a name and end");
  add("data",
      po::value<std::string>(),
      "image folder, .h5 pack, CIFAR-10 folder or synthetic:SPEC; instead of data.path");
  add_start_options(options);
  if (chooses) {
    add("objective",
        po::value<std::string>(),
        "of the chosen recipe: mae (default), dino or simmim");
  }
  add("out",
      po::value<std::string>(),
      chooses ? "run folder; when not given runs/<recipe>, or runs/<name of the images> without a "
                "recipe"
              : "run folder; runs/<recipe> when not given");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key.path=value on top of the recipe; may be given again");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  add("time-budget",
      po::value<std::string>(),
      "fit train.epochs to a time, as 2h, 30m or 1h30m; the first steps are measured for it");
  add("resume", "go on from the last good checkpoint of the run folder");
  add("print-recipe", "print the fully resolved recipe and end");
  add_nproc_option(options);
  return options;
}

PretrainRun read_pretrain_run(const po::variables_map& args, Recipe recipe, bool resumed) {
  const bool budget = resumed && args.count("time-budget") != 0;
  apply_settings(recipe, args, [&](const std::string& assignment) {
    return !budget || !decided_by_budget(assignment.substr(0, assignment.find('=')));
  });
  apply_start_options(recipe, args);
  const auto source = load_source(recipe, args.count("resume") != 0 ? run_folder(args) : "");
  PretrainRun run = PretrainRun::read(recipe, source.get());
  if (source && !source->weights.empty()) run.source = source;
  if (args.count("data") != 0) run.options.data.path = args["data"].as<std::string>();
  return run;
}

PretrainRun read_pretrain_run(const po::variables_map& args) {
  return read_pretrain_run(args, Recipe::load(find_recipe(args["recipe"].as<std::string>())));
}

int pretrain(const po::variables_map& args, const std::string& command, Product product) {
  const double budget = time_budget(args);
  FoundRecipe found = find_pretrain_recipe(args);
  PretrainRun run = read_pretrain_run(args, std::move(found.recipe), found.resumed);
  if (args.count("print-recipe") != 0) {
    if (budget > 0 && !found.resumed) {
      info("--time-budget: not fitted yet; the run measures its first steps for that");
    }
    print(run.resolved());
    return 0;
  }
  const FirstSteps first_steps{.time_budget = found.resumed ? 0 : budget,
                               .tell_time = found.chosen};
  return run.places.around([&] {
    require_inputs(run, args);
    return train_run(run,
                     {.text = command,
                      .product = product,
                      .folder = run_folder(args),
                      .device = choose_device(args["device"].as<std::string>()),
                      .first_steps = first_steps,
                      .resume = args.count("resume") != 0},
                     found.images);
  });
}

std::string command_line(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) words.push_back(quoted(argv[i]));
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace previt::cli
