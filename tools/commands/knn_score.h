#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "augment/dataset/dataset.h"
#include "pretrain/objective.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {

/// For TrainCallbacks::evaluate: the kNN top-1 of the objective's backbone in percent, as
/// `knn_top1`. It is taken on labelled images of the run's own data, of which `images` is the
/// training split. Empty where run.knn.epochs is 0, and, with a line in the log, where the data
/// has no labels. `cache_folder`: where folder listings are kept.
std::function<std::map<std::string, double>(int64_t epochs_done)> knn_score(
    const PretrainRun& run,
    Objective& objective,
    std::shared_ptr<Dataset> images,
    const std::string& cache_folder);

}  // namespace previt::cli
