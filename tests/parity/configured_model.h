#pragma once

#include <memory>
#include <string>

#include "models/vit.h"
#include "models/weights/load_model.h"
#include "parity/parity.h"

namespace previt::parity {

/// Loads an official file. It need not tell the heads and the norm's epsilon; the configuration
/// that it was made with, which `want` keeps, does.
LoadedModel load_configured(const std::string& path, const SafeTensors& want);

/// The file's Vit; weights that are missing or left over fail the check.
std::shared_ptr<Vit> build(const LoadedModel& model, Check& check);

}  // namespace previt::parity
