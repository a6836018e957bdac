#pragma once

#include <string>

#include "models/weights/load_model.h"
#include "pretrain/objective.h"
#include "pretrain/start_report.h"

namespace previt {

/// Starts an objective from a file of weights, read with LoadHints::whole. All its backbones get
/// the file's, their positions resampled in the source's convention if the grid differs; where the
/// file has a student and a teacher, each its own. Of the objective's other parts
/// (Objective::in_files) those are loaded that the file has with the same shapes; the rest starts
/// anew, and what no part asks for is left out.
///
/// `allow`: NamePatterns of backbone weights that may start anew, or be left out. Any other that
/// the backbone lacks, that it has no place for, or that has another shape is an Error, led by the
/// source, before anything is changed in that backbone. So is a weight that isn't finite. A pattern
/// that allows nothing is warned of. Throws UsageError for an objective without a Vision
/// Transformer.
StartReport start_from(Objective& objective, const LoadedModel& source, const std::string& allow);

}  // namespace previt
