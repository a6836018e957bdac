#pragma once

#include <string>

#include "models/weights/load_model.h"
#include "pretrain/run_options.h"

namespace previt::cli {

/// Throws UsageError led by output.export where its format can't express the network that a run is
/// about to train: it would be known only at its end. `model` has that network's weights as they
/// are now, and the method's parts.
void require_exportable(const RunOptions& run, LoadedModel model);

/// Writes the newest checkpoint of a finished run as RUN/hf or RUN/timm, in place of an older one,
/// where output.export asks for it. Throws Error.
void export_run(const RunOptions& run, const std::string& folder);

}  // namespace previt::cli
