#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "pretrain/objective.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {

/// For RunHooks::evaluate: the kNN top-1 of the objective's backbone in percent, as `knn_top1`, on
/// labelled images of the run's own data. Empty where run.knn.epochs is 0, and, with a line in the
/// log, where the data has no labels. `cache_folder`: where folder listings are kept.
std::function<std::map<std::string, double>(int64_t epochs_done)> knn_score(
    const PretrainRun& run, Objective& objective, const std::string& cache_folder);

}  // namespace previt::cli
