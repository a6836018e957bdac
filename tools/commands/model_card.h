#pragma once

#include <string>

#include "commands/outgoing_model.h"
#include "models/weights/foreign_model.h"

namespace previt::cli {

/// README.md of a folder of transformers, timm, official files or ONNX: what the network is, where it
/// comes from, its licence if the source says it, and how it is loaded.
std::string model_card(const OutgoingModel& out, const ForeignModel& files);

}  // namespace previt::cli
