#pragma once

#include <string>

#include "models/weights/foreign_model.h"
#include "models/weights/load_model.h"

namespace previt {

/// How all formats but our own are read once their tensors have our names: options from the shapes,
/// then what only a configuration can say. Throws Error, led by the model's place.
LoadedModel read_network(const ForeignModel& model,
                         NamedWeights named,
                         ResizeConvention pos_resize,
                         const LoadHints& hints);

}  // namespace previt
