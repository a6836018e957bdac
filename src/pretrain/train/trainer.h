#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "settings.h"

namespace previt {

class Report;

/// What a caller adds to a run. Pretraining needs none of it but the pictures; fine-tuning
/// evaluates.
struct RunHooks {
  /// Called after an epoch every `evaluate_epochs` and after the last one, with the model in eval
  /// mode, with the averaged weights if train.ema_decay is on. What it returns joins the epoch's
  /// metrics line.
  std::function<std::map<std::string, double>(int64_t epochs_done)> evaluate;
  int64_t evaluate_epochs = 1;

  /// A key of what `evaluate` returns: the largest so far is also kept in <run>/best.
  std::string best_metric;

  /// PNG bytes of uint8 [H, W, 3]; without it there are no pictures.
  std::function<std::string(const at::Tensor& pixels)> encode_png;

  /// Adds tables and pictures each time the report is written.
  std::function<void(Report&)> extend_report;

  std::string title;       ///< of the report; empty: the objective and the model
  std::string command;     ///< that makes this run again, for the report
  std::string recipe;      ///< fully resolved, written to recipe.yaml
  Settings settings;       ///< the same as a list: reported, and compared on resume
  bool held_out = false;   ///< what is evaluated is held out of the images: they must stay the same
  std::string kept_apart;  ///< which images no step sees, JSON, written to held_out.json
  std::vector<std::string> class_names;  ///< stored with the backbone
  double crop_pct = 0;                   ///< of the evaluation view; stored with the backbone
};

/// Trains `objective`, on the device where its parameters are, for options.train.epochs, and leaves
/// in `run_folder`: metrics.jsonl, TensorBoard events, checkpoints/, previews/, report.html,
/// log.txt. `source` gives batches of options.train.micro() images. With `resume` it continues from
/// the last good checkpoint, if there is one, to the same weights as if it had never stopped;
/// without, a folder that holds a run is a UsageError. Returns the exit code: 0 done, 129, 130
/// or 143 after SIGHUP, SIGINT or SIGTERM (a checkpoint is saved first).
///
/// Steps whose loss or gradients are not finite are left out. A run that can't learn any more (too
/// many of them in a row, weights that aren't finite) or learned nothing ends in an Error that
/// names the last good checkpoint; what is saved meanwhile does not push that one out.
int train(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& run_folder,
          bool resume,
          const RunHooks& hooks = {});

}  // namespace previt
