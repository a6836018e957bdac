#include "commands/finetune.h"

#include <ATen/Parallel.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "augment/encode_png.h"
#include "cli/backbone.h"
#include "cli/device.h"
#include "cli/main.h"
#include "commands/export_run.h"
#include "commands/machine_choices.h"
#include "commands/own_run.h"
#include "communicator.h"
#include "failure.h"
#include "finetune/classifier.h"
#include "finetune/evaluation.h"
#include "finetune/evaluation_report.h"
#include "log.h"
#include "models/weights/weights.h"
#include "pretrain/train/checkpoint_keeper.h"
#include "pretrain/train/same_start.h"
#include "pretrain/train/stop_signal.h"
#include "pretrain/train/trainer.h"
#include "run_lock.h"

namespace previt::cli {
namespace {

// Of the images of all ranks.
Evaluation evaluate(const FinetuneJob& job, Vit& vit, OwnBatches& batches) {
  const RunOptions& run = job.run.options;
  Evaluation result{.scores = Scores(vit.options().num_classes)};
  batches.go_through([&](BatchSource& source) {
    result = evaluate(vit, source, run.normalize, scalar_type(run.train.precision));
  });
  result.add_ranks();
  return result;
}

RunRecord record_of(const FinetuneJob& job, const std::string& command) {
  RunRecord record;
  record.title = job.loaded ? "Fine-tuning " + job.from : "Training from random weights";
  record.command = command;
  record.recipe = job.run.resolved();
  record.settings = job.run.settings();
  record.held_out = job.data.held_out;
  record.kept_apart = list_text(job.data.held_out ? job.data.val.get() : nullptr);
  if (job.run.finetune.per_class > 0) record.few_shot = list_text(job.data.train.get());
  record.class_names = job.class_names();
  record.crop_pct = job.run.finetune.crop_pct(job.run.options.model.image_height());
  return record;
}

// What output.export would have to express, with the weights of now.
LoadedModel classifier_model(const FinetuneJob& job, const Vit& vit) {
  LoadedModel model;
  model.options = vit.options();
  model.weights = named_tensors(vit);
  model.normalize = job.run.options.normalize;
  return model;
}

int train_and_evaluate(const FinetuneJob& job,
                       std::shared_ptr<Vit> vit,
                       const std::string& command) {
  const auto training = job.training_source();
  OwnBatches validation = job.validation_batches();
  std::optional<Evaluation> latest;
  std::string why_none;  // why there is no latest evaluation
  const RunRecord record = record_of(job, command);
  TrainCallbacks callbacks;
#ifdef PREVIT_WITH_IMAGE_IO
  callbacks.encode_png = encode_png;
#endif
  callbacks.evaluate = [&](int64_t epochs_done) -> std::map<std::string, double> {
    latest.reset();
    why_none = failure_of([&] { latest = evaluate(job, *vit, validation); });
    if (!latest) {  // the run is worth more than its score
      warn("no evaluation after epoch {}: {}", epochs_done, why_none);
      return {};
    }
    const Scores& scores = latest->scores;
    return {{"top1", scores.top1()}, {"top5", scores.top5()}, {"val_loss", scores.loss()}};
  };
  callbacks.evaluate_epochs = job.run.finetune.eval_epochs;
  callbacks.best_metric = "top1";
  callbacks.extend_report = [&](Report& report) {
    if (latest) add_evaluation(report, *latest, record.class_names, callbacks.encode_png);
    return latest.has_value();
  };

  Classifier classifier(vit, job.run, job.load_distillation(vit->parameters().front().device()));
  const int code =
      train(classifier, *training, job.run.options, job.out, job.resume, record, callbacks);
  if (code != 0 || !world().leads()) return code;
  nlohmann::ordered_json result =
      latest ? latest->json() : nlohmann::ordered_json{{"not_evaluated", why_none}};
  const std::optional<BestSaved> best = saved_best(job.out);
  if (best) {
    result["best_top1"] = best->score;
    result["best_epoch"] = best->epoch;
  }
  write_result(job.out, result);
  export_run(job.run.options, job.out);
  info("report: {0}/report.html; best checkpoint: {1}",
       job.out,
       best ? job.out + "/best" : "none, as nothing was evaluated");
  return 0;
}

int run_job(FinetuneJob& job, at::Device device, const std::string& command) {
  const int64_t threads = job.run.options.train.threads;
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
  ignore_broken_pipes();
  std::optional<RunLock> lock;
  if (!job.out.empty() && world().leads()) lock.emplace(job.out);
  require_same_settings(job.run.settings());
  if (!job.eval_only) job.run.options.train.require_shareable();
  decide_for_machine(job.run.options, device, job.resume ? job.out : "");
  job.open_data();
  const auto vit = job.build_model();
  if (job.loaded) job.loaded->weights.clear();  // their memory is the run's to use
  if (!job.eval_only) {
    require_exportable(job.run.options, [&] { return classifier_model(job, *vit); });
  }
  vit->to(device);
  if (!job.eval_only) return train_and_evaluate(job, vit, command);
  OwnBatches validation = job.validation_batches();
  write_result(job.out, evaluate(job, *vit, validation).json());
  return 0;
}

}  // namespace

int finetune(const po::variables_map& args, const std::string& command) {
  FinetuneJob job = FinetuneJob::read(args);
  if (args.count("print-recipe") > 0) {
    print(job.run.resolved());
    return 0;
  }
  const at::Device device = choose_device(args["device"].as<std::string>());
  return job.run.places.around([&] { return run_job(job, device, command); });
}

}  // namespace previt::cli
