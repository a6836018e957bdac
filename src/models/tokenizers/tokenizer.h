#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>

namespace previt {

/// A trained image tokenizer. For each cell of a grid over an image it gives a token, which is the
/// index of a code in its codebook. Frozen once loaded.
class Tokenizer : public torch::nn::Module {
 public:
  /// Pixels in [0, 1], [B, C, height, width] → tokens int64 [B, L], row by row.
  virtual at::Tensor tokens(const at::Tensor& pixels) = 0;
  virtual int64_t vocab_size() const = 0;    ///< tokens are below this
  virtual int64_t image_height() const = 0;  ///< in pixels, as `tokens` takes them
  virtual int64_t image_width() const = 0;
  virtual int64_t image_channels() const { return 3; }
  virtual int64_t grid_height() const = 0;
  virtual int64_t grid_width() const = 0;
};

/// Loads a run folder of train_tokenizer, one of its checkpoints, or its weights file; in eval
/// mode, without gradients. Throws Error, led by the path, for anything else.
std::shared_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace previt
