#pragma once

#include "pretrain/train/compared_curves.h"
#include "pretrain/train/compared_run.h"
#include "pretrain/train/report.h"

namespace previt {

/// Runs side by side: what they are, results with the best marked, the settings in which they
/// differ, and their curves over one another (compared_charts).
Report comparison(const ComparedRuns& runs, ChartAxis axis = ChartAxis::automatic);

}  // namespace previt
