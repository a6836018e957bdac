#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>

namespace previt {

/// A trained image tokenizer: an image → a token, that is the index of a code in its codebook, for
/// each cell of a grid. Frozen once loaded.
class Tokenizer : public torch::nn::Module {
 public:
  /// Pixels in [0, 1], [B, C, height, width] → tokens int64 [B, L], row by row.
  virtual at::Tensor tokens(const at::Tensor& pixels) = 0;
  virtual int64_t vocab_size() const = 0;    ///< tokens are below it
  virtual int64_t image_height() const = 0;  ///< pixels that `tokens` takes
  virtual int64_t image_width() const = 0;
  virtual int64_t image_channels() const { return 3; }
  virtual int64_t grid_height() const = 0;
  virtual int64_t grid_width() const = 0;
};

/// From a run folder of train_tokenizer, one of its checkpoints, or its weights file; in eval mode,
/// without gradients.
std::shared_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace previt
