#pragma once

#include <array>
#include <vector>

#include "pretrain/train/chart.h"
#include "pretrain/train/compared_run.h"

namespace previt {

/// What curves are drawn over; `automatic`: epochs if all runs tell them, else steps.
enum class ChartAxis { automatic, epoch, step };
constexpr auto enum_names(ChartAxis) { return std::array{"auto", "epoch", "step"}; }

/// A chart of each metric, with the curves of all runs that have it. Losses of different objectives
/// are in charts of their own. Where runs of several recipes are compared, those of one recipe that
/// differ in train.seed alone are drawn as one curve: their mean, in a band from least to most.
std::vector<Chart> compared_charts(const ComparedRuns& runs, ChartAxis axis);

}  // namespace previt
