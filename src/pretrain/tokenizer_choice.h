#pragma once

#include <memory>
#include <string>

#include "models/tokenizers/tokenizer.h"
#include "models/vit_options.h"

namespace previt {

/// What a recipe names as its tokenizer: a path for load_tokenizer, or "colors:N" for a
/// ColorTokenizer of at most N tokens that fits the model. UsageError for neither.
std::shared_ptr<Tokenizer> choose_tokenizer(const std::string& name, const VitOptions& model);

}  // namespace previt
