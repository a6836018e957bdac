#pragma once

#include <string>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/run_record.h"
#include "pretrain/train/train_callbacks.h"

namespace previt {

/// Trains `objective`, on the device where its parameters are, for options.train.epochs. In
/// `run_folder` it leaves metrics.jsonl, TensorBoard events, checkpoints/, previews/, report.html
/// and log.txt. `source` gives batches of options.train.micro() images.
///
/// With `resume` it continues from the last good checkpoint, if there is one, to the same weights
/// as if it had never stopped. Without it, a folder that holds a run is a UsageError. Returns the
/// exit code: 0 when done; 129, 130 or 143 after SIGHUP, SIGINT or SIGTERM (a checkpoint is saved
/// first).
///
/// Steps whose loss or gradients are not finite are left out. A run that can't learn any more (too
/// many such steps in a row, weights that aren't finite) or has learned nothing ends in an Error
/// that names the last good checkpoint (learning_guard.h). What is saved meanwhile does not push
/// that one out.
int train(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& run_folder,
          bool resume,
          const RunRecord& record = {},
          const TrainCallbacks& callbacks = {});

}  // namespace previt
