#include "models/tokenizer.h"

#include "error.h"

namespace previt {

std::shared_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  fail("{}: this build can't load tokenizers", path);
}

}  // namespace previt
