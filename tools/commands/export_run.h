#pragma once

#include <functional>
#include <string>

#include "models/weights/load_model.h"
#include "pretrain/run_options.h"

namespace previt::cli {

/// Throws UsageError led by output.export where its format can't express the network that a run is
/// about to train: it would be known only at its end. `model`, called only where something is
/// exported, gives that network's weights as they are now, and the method's parts.
void require_exportable(const RunOptions& run, const std::function<LoadedModel()>& model);

/// Writes a finished run's best checkpoint, or the newest where none was scored, as RUN/hf or
/// RUN/timm, in place of an older one, where output.export asks for it. Throws Error.
void export_run(const RunOptions& run, const std::string& folder);

}  // namespace previt::cli
