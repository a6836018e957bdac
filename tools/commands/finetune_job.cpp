#include "commands/finetune_job.h"

#include <torch/utils.h>

#include <algorithm>

#include "augment/dataset/relabel.h"
#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "augment/sample_order.h"
#include "cli/from_option.h"
#include "cli/launch.h"
#include "cli/recipe_path.h"
#include "commands/finetune_recipe.h"
#include "commands/own_run.h"
#include "commands/start_options.h"
#include "communicator.h"
#include "error.h"
#include "finetune/class_match.h"
#include "finetune/model.h"
#include "log.h"
#include "models/layers/init.h"

namespace previt::cli {
namespace {

constexpr char kScratch[] = "none";
constexpr int64_t kLargestEvaluationBatch = 256;

std::string text(const po::variables_map& args,
                 const char* name,
                 const std::string& otherwise = "") {
  return args.count(name) > 0 ? args[name].as<std::string>() : otherwise;
}

LoadedModel load_teacher(const std::string& checkpoint) {
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(checkpoint, &warnings, {.backbone_only = true});
  for (const std::string& warning : warnings) log_warning(warning);
  if (!loaded.choice.empty()) info("{}: {}", loaded.source, loaded.choice);
  return loaded;
}

std::optional<LoadedModel> load_weights(const FinetuneJob& job, const po::variables_map& args) {
  if (job.from == kScratch) {
    if (job.eval_only) fail_usage("--eval-only: needs a checkpoint, not --from none");
    return std::nullopt;
  }
  LoadedModel loaded = load_from(args, {.backbone_only = true});
  require(!job.eval_only || loaded.options.num_classes > 0,
          "{}: has no classes to evaluate; fine-tune it first",
          job.from);
  return loaded;
}

ClassMatch match_and_tell(const LoadedModel& model,
                          const std::string& name,
                          const FinetuneJob& job,
                          const std::string& advice) {
  const auto classes = job.class_names();
  ClassList data{
      .place = job.run.options.data.path, .names = classes, .count = std::ssize(classes)};
  if (job.eval_only)
    data.there = classes_in(*job.data.val, data.place);  // training may have others
  const ClassMatch match =
      match_classes({.place = name, .names = model.class_names, .count = model.options.num_classes},
                    data,
                    advice);
  if (!match.note.empty()) info("{}", match.note);
  return match;
}

SampleOrder order_of(const FinetuneRun& run, const Dataset& training) {
  return {.images = training.size(), .copies = run.finetune.repeated_augmentation};
}

// Few labelled images may not fill a batch. It then has as many whole micro-batches of each process
// as they fill: of a batch of all images, the largest divisor may be 1.
void fit_batch(FinetuneRun& run, const Dataset& training) {
  TrainOptions& train = run.options.train;
  const int64_t images = order_of(run, training).size(), share = images / world().size();
  if (images >= train.batch || share == 0) return;  // the loader says so where there is no share
  const int64_t micro = train.micro_batch > 0 ? std::min(train.micro_batch, share) : share;
  const int64_t fitted = share / micro * micro * world().size();
  const bool left_out = fitted < images && train.drop_last;
  info("train.batch: {} of the {} training images instead of {}{}",
       fitted,
       images,
       train.batch,
       left_out ? "; each epoch leaves out others" : "");
  train.batch = fitted;
  train.micro_batch = std::min(train.micro_batch, micro);
}

// What one process would take, so that what is found doesn't depend on how many there are.
int64_t evaluation_batch(const FinetuneRun& run, const Dataset* training) {
  const TrainOptions& train = run.options.train;
  int64_t images = std::min(train.batch, kLargestEvaluationBatch);
  if (train.micro_batch > 0) images = std::min(images, train.micro_batch);
  return training == nullptr ? images : std::min(images, order_of(run, *training).size());
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
  add_from_option(options, "checkpoint, or none: random weights");
  add_allow_option(options);
  auto add = options.add_options();
  add("data",
      po::value<std::string>(),
      "labelled images: class folders, .h5 pack, CIFAR-10 folder or synthetic:SPEC; instead of "
      "data.path");
  add("recipe",
      po::value<std::string>(),
      "YAML file, or a name that --list-recipes shows; without it, one is chosen for the number of "
      "labelled images");
  add("list-recipes", "print the recipes that have a name and end");
  add("arch", po::value<std::string>(), "with --from none: the named size");
  add("out", po::value<std::string>(), "run folder; runs/finetune when not given");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key.path=value on top of the recipe; may be given again");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  add("eval-only", "evaluate the checkpoint's own classifier, train nothing");
  add("resume", "go on from the last good checkpoint of the run folder");
  add("print-recipe", "print the fully resolved recipe and end");
  add_nproc_option(options);
  return options;
}

FinetuneJob FinetuneJob::read(const po::variables_map& args) {
  FinetuneJob job;
  job.from = text(args, "from");
  job.eval_only = args.count("eval-only") > 0;
  job.resume = args.count("resume") > 0;
  job.out = text(args, "out", job.eval_only ? "" : "runs/finetune");
  job.loaded = load_weights(job, args);
  ReadFinetuning read = read_finetuning(args, job);
  job.run = std::move(read.run);
  job.data.train = std::move(read.images);
  if (job.run.finetune.keep_head && !job.loaded) {
    read.recipe.fail_at("finetune.keep_head", "random weights have no head to keep");
  }
  if (job.loaded) {
    const RunOptions& run = job.run.options;
    require_same_architecture(run.model, *job.loaded, job.eval_only ? "" : run.start.allow);
  }
  return job;
}

void FinetuneJob::open_data() {
  eval_only ? open_evaluation_data() : open_training_data();
  run.options.model.num_classes = std::ssize(class_names());
  if (keeps_head()) match_head();
  evaluation_batch_ = evaluation_batch(run, data.train.get());
  if (!eval_only) fit_batch(run, *data.train);
}

// Where the run trained on this very data, it is evaluated on what it held out, for it has seen
// the rest.
void FinetuneJob::open_evaluation_data() {
  const std::string& path = run.options.data.path;
  const auto holdout = own_holdout(from, path);
  const auto names = holdout ? own_held_out(from) : std::nullopt;
  if (!holdout || (names && names->empty())) {
    data.val = open_evaluated(path, out);
    if (holdout) warn("{}: {} held nothing out and trained on these images", path, from);
    return;
  }
  data.val = names ? open_held_out(path, *names, out) : open_labelled(path, *holdout, out).val;
  info("{}: evaluated on the {} images that {} held out; it trained on the others",
       path,
       data.val->size(),
       from);
}

void FinetuneJob::open_training_data() {
  const RunOptions& options = run.options;
  const FinetuneOptions& finetune = run.finetune;
  const SplitOptions split{.holdout = finetune.holdout,
                           .seed = static_cast<uint64_t>(options.train.seed),
                           .per_class = finetune.per_class,
                           .subset_seed = static_cast<uint64_t>(finetune.subset_seed)};
  if (!data.train) data.train = open_dataset(options.data.path, Split::train, out);
  data = with_validation(
      std::move(data.train), options.data.path, resume ? resumed(split, out) : split, out);
  if (data.held_out) {
    info("{}: no validation split; {} images of all classes are held out for it",
         options.data.path,
         data.val->size());
  }
}

// The data takes over the classes of a kept head, in its order. The report and what is saved
// follow.
void FinetuneJob::match_head() {
  const ClassMatch match = match_and_tell(
      *loaded, from, *this, eval_only ? "" : "; finetune.keep_head: false starts a new head");
  auto names = loaded->class_names;
  if (match.by_position) {
    const auto own = class_names();
    names.resize(own.size());
    for (size_t i = 0; i < own.size(); ++i) names[static_cast<size_t>(match.in_model[i])] = own[i];
  }
  for (auto* part : {&data.train, &data.val}) {
    if (*part) *part = relabel(*part, match.in_model, names);
  }
  run.options.model.num_classes = loaded->options.num_classes;
}

std::shared_ptr<Vit> FinetuneJob::build_model() const {
  const VitOptions& model = run.options.model;
  torch::manual_seed(static_cast<uint64_t>(run.options.train.seed));
  const HeadChoice head{.keep = keeps_head(), .new_std = run.finetune.head_std};
  // What is evaluated as it is must be whole.
  const std::string* allow = eval_only ? nullptr : &run.options.start.allow;
  if (loaded) return vit_from_checkpoint(*loaded, model, head, allow);
  auto vit = std::make_shared<Vit>(model);  // as timm initialises it
  if (run.finetune.init == FinetuneInit::mae) vit->init_weights_mae();
  if (run.finetune.init == FinetuneInit::framework) init_linears_framework(*vit);
  vit->set_num_classes(model.num_classes, head.new_std);
  return vit;
}

std::shared_ptr<const Distillation> FinetuneJob::load_distillation(at::Device device) const {
  const DistillationOptions& options = run.distillation;
  if (!options.on()) return nullptr;
  LoadedModel loaded_teacher = load_teacher(options.teacher);
  if (loaded_teacher.options.num_classes > 0) {
    const ClassMatch match = match_and_tell(loaded_teacher, options.teacher, *this, "");
    keep_classes(loaded_teacher, match.in_model);
  }
  DistillationTeacher teacher(loaded_teacher, run.options);
  teacher.to(device);
  return std::make_shared<const Distillation>(options, std::move(teacher));
}

std::unique_ptr<BatchSource> FinetuneJob::training_source() const {
  LoaderOptions options = loader_options(run.options);
  run.options.train.require_shareable();
  options.step = run.options.train.batch;
  options.rank = world().rank();
  options.of = world().size();
  options.copies = run.finetune.repeated_augmentation;
  return make_loader(data.train, {run.augment}, options, log_warning);
}

OwnBatches FinetuneJob::validation_batches() const {
  const VitOptions& model = run.options.model;
  const ViewSpec view = evaluation_view(model.image_height(),
                                        model.image_width(),
                                        run.finetune.crop_pct(model.image_height()),
                                        run.augment.interpolation);
  LoaderOptions options = loader_options(run.options);
  options.batch = evaluation_batch_;
  options.shuffle = false;
  options.drop_last = false;
  return OwnBatches(data.val, options.batch, [&](std::shared_ptr<Dataset> part) {
    return make_loader(std::move(part), {view}, options, log_warning);
  });
}

}  // namespace previt::cli
