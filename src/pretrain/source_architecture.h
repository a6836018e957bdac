#pragma once

#include <functional>
#include <string>

#include "models/weights/load_model.h"
#include "pretrain/run_options.h"

namespace previt {

/// Takes over from the source of a run's weights what its recipe leaves open: architecture, image
/// size, normalisation. The method's own choices stay: drop path, pooling, how positions are
/// resized while it trains. `arch_said`: the recipe has model.arch, which then tells the sizes.
void take_architecture(const LoadedModel& source, bool arch_said, RunOptions& run);

/// Throws UsageError, led by the recipe's key, that says in which options the model is not the
/// source's, and what to set. Image size, drop path, pooling and such may differ; so may what only
/// adds or removes weights, about which start_from decides. `said`: whether the recipe has this key
/// of `model:`.
void require_source_fits(const VitOptions& model,
                         const LoadedModel& source,
                         const std::function<bool(const std::string& key)>& said);

}  // namespace previt
