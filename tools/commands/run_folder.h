#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pretrain/train/compared_run.h"
#include "pretrain/train/run_report.h"

namespace previt::cli {

/// What a run's folder tells of it, whether it has ended, was interrupted or is under way: its
/// recipe (with the defaults of what the recipe lacks), metrics, newest checkpoint, and the results
/// of fine-tuning and probes in the folder and those directly inside it. Named by the folder.
/// Throws Error led by the path where the folder is no run or has no metrics, and UsageError where
/// the recipe is of no use.
ComparedRun read_run_folder(const std::string& folder);

/// The same run as its own report shows it.
RunSummary summary_of(const ComparedRun& run);

/// For each path of a folder, its last name or, where several have that, as many of its last names
/// as it takes to tell them apart.
std::vector<std::string> distinct_names(const std::vector<std::string>& folders);

}  // namespace previt::cli
