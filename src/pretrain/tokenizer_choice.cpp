#include "pretrain/tokenizer_choice.h"

#include <charconv>

#include "error.h"
#include "models/tokenizers/color_tokenizer.h"

namespace previt {

std::shared_ptr<Tokenizer> choose_tokenizer(const std::string& name, const VitOptions& model) {
  if (name.empty()) {
    fail_usage("beit.tokenizer: give a run of train_tokenizer, or colors:8192 to try without one");
  }
  const std::string colors = "colors:";
  if (!name.starts_with(colors)) {
    auto tokenizer = load_tokenizer(name);
    if (tokenizer->image_channels() != model.in_channels) {
      fail_usage("beit.tokenizer: {} sees {} channels, the model {} (model.in_channels)",
                 name,
                 tokenizer->image_channels(),
                 model.in_channels);
    }
    return tokenizer;
  }
  int64_t vocab_size = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + colors.size(), end, vocab_size);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    fail_usage("beit.tokenizer: {}: give a number of tokens, as in colors:8192", name);
  }
  return std::make_shared<ColorTokenizer>(
      vocab_size,
      std::vector<int64_t>{model.image_height(), model.image_width()},
      std::vector<int64_t>{model.grid_height(), model.grid_width()},
      model.in_channels);
}

}  // namespace previt
