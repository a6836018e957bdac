#pragma once

#include <memory>
#include <string>

#include "models/tokenizers/tokenizer.h"
#include "models/vit_options.h"

namespace previt {

/// The tokenizer that a recipe names: a path for load_tokenizer, or "colors:N" for a ColorTokenizer
/// of at most N tokens that fits the model. Throws UsageError for neither, and if it sees another
/// number of channels than the model.
std::shared_ptr<Tokenizer> choose_tokenizer(const std::string& name, const VitOptions& model);

}  // namespace previt
