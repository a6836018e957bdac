#include "cli/finetune_job.h"

#include <torch/utils.h>

#include <algorithm>
#include <filesystem>

#include "augment/loader.h"
#include "error.h"
#include "finetune/model.h"
#include "log.h"

namespace previt::cli {
namespace {

constexpr char kScratch[] = "none";
constexpr int64_t kLargestEvaluationBatch = 256;

std::string text(const po::variables_map& args,
                 const char* name,
                 const std::string& otherwise = "") {
  return args.count(name) > 0 ? args[name].as<std::string>() : otherwise;
}

std::optional<LoadedModel> load_weights(const FinetuneJob& job) {
  if (job.from == kScratch) {
    if (job.eval_only) fail_usage("--eval-only: needs a checkpoint, not --from none");
    return std::nullopt;
  }
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(job.from, &warnings);
  for (const std::string& warning : warnings) log_warning(warning);
  require(!job.eval_only || loaded.options.num_classes > 0,
          "{}: has no classes to evaluate; fine-tune it first",
          job.from);
  return loaded;
}

Recipe read_recipe(const po::variables_map& args, const FinetuneJob& job) {
  std::string path = text(args, "recipe");
  const std::string own = job.from + "/recipe.yaml";
  if (path.empty() && job.eval_only && std::filesystem::exists(own)) path = own;
  Recipe recipe = path.empty() ? Recipe::parse("", "recipe") : Recipe::load(path);
  if (args.count("data") > 0) recipe.set("data.path=" + text(args, "data"));
  if (args.count("arch") > 0) {
    if (job.loaded) fail_usage("--arch: only with --from none; a checkpoint has its own");
    recipe.set("model.arch=" + text(args, "arch"));
  }
  if (args.count("set") > 0) {
    for (const auto& assignment : args["set"].as<std::vector<std::string>>())
      recipe.set(assignment);
  }
  if (!recipe.has("data.path")) fail_usage("--data: say which images to train on");
  return recipe;
}

void require_own_classes(const FinetuneJob& job, int64_t classes) {
  const int64_t own = job.loaded->options.num_classes;
  require(own == classes,
          "{}: classifies {} classes, but {} has {}",
          job.from,
          own,
          job.run.run.data.path,
          classes);
}

// Few labels make less than a batch.
void fit_batch(TrainOptions& train, int64_t images) {
  if (images >= train.batch) return;
  info("a batch is all {} training images instead of {}", images, train.batch);
  train.batch = images;
  train.micro_batch = std::min(train.micro_batch, images);
}

LoaderOptions loader_options(const RunOptions& run) {
  return {.batch = run.train.micro(),
          .drop_last = run.train.drop_last,
          .workers = run.data.workers,
          .prefetch = run.data.prefetch,
          .seed = static_cast<uint64_t>(run.train.seed),
          .max_bad_fraction = run.data.max_bad_fraction};
}

}  // namespace

po::options_description finetune_options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("from", po::value<std::string>()->required(), "checkpoint, or none: random weights");
  add("data",
      po::value<std::string>(),
      "labelled images: class folders, .h5 pack, CIFAR-10 folder or synthetic:SPEC; instead of "
      "data.path");
  add("recipe", po::value<std::string>(), "YAML file; MAE's settings for the model when not given");
  add("arch", po::value<std::string>(), "with --from none: the named size");
  add("out", po::value<std::string>(), "run folder; runs/finetune when not given");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key.path=value on top of the recipe; may be given again");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  add("eval-only", "evaluate the checkpoint's own classifier, train nothing");
  add("resume", "go on from the last good checkpoint of the run folder");
  add("print-recipe", "print the fully resolved recipe and end");
  return options;
}

FinetuneJob FinetuneJob::read(const po::variables_map& args) {
  FinetuneJob job;
  job.from = text(args, "from");
  job.eval_only = args.count("eval-only") > 0;
  job.resume = args.count("resume") > 0;
  job.out = text(args, "out", job.eval_only ? "" : "runs/finetune");
  job.loaded = load_weights(job);
  Recipe recipe = read_recipe(args, job);
  job.run = FinetuneRun::read(recipe, job.loaded ? &*job.loaded : nullptr);
  if (job.loaded) require_same_architecture(job.run.run.model, *job.loaded);
  return job;
}

void FinetuneJob::open_data() {
  RunOptions& options = run.run;
  const FinetuneOptions& finetune = run.finetune;
  data = open_labelled(options.data.path,
                       {.holdout = finetune.holdout,
                        .seed = static_cast<uint64_t>(options.train.seed),
                        .per_class = finetune.per_class,
                        .subset_seed = static_cast<uint64_t>(finetune.subset_seed)},
                       out);
  if (data.held_out) {
    info("{}: no validation split; {} images of all classes are held out for it",
         options.data.path,
         data.val->size());
  }
  const auto classes = static_cast<int64_t>(data.class_names().size());
  if (eval_only) {
    require_own_classes(*this, classes);
  } else {
    fit_batch(options.train, data.train->size());
  }
  options.model.num_classes = classes;
}

std::shared_ptr<Vit> FinetuneJob::build_model() const {
  const VitOptions& model = run.run.model;
  torch::manual_seed(static_cast<uint64_t>(run.run.train.seed));
  const HeadChoice head{.keep = eval_only, .new_std = run.finetune.head_std};
  if (loaded) return vit_from_checkpoint(*loaded, model, head);
  auto vit = std::make_shared<Vit>(model);
  vit->init_weights_mae();
  vit->set_num_classes(model.num_classes, head.new_std);
  return vit;
}

std::unique_ptr<BatchSource> FinetuneJob::training_source() const {
  return make_loader(data.train, {run.augment}, loader_options(run.run), log_warning);
}

std::unique_ptr<BatchSource> FinetuneJob::validation_source() const {
  const VitOptions& model = run.run.model;
  const ViewSpec view = evaluation_view(model.image_height(),
                                        model.image_width(),
                                        run.finetune.crop_pct(model.image_height()),
                                        run.augment.interpolation);
  LoaderOptions options = loader_options(run.run);
  options.batch = std::min(options.batch, kLargestEvaluationBatch);
  options.shuffle = false;
  options.drop_last = false;
  return make_loader(data.val, {view}, options, log_warning);
}

}  // namespace previt::cli
