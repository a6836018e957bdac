#pragma once

#include <vector>

#include "models/tokenizers/tokenizer.h"

namespace previt {

/// A tokenizer that needs no training: a token is the mean colour of a cell, each channel quantized
/// to as many even levels as the vocabulary has room for (with 8192 tokens, 20 for each of three
/// channels). Enough to try out and time masked token prediction before a tokenizer is trained.
class ColorTokenizer final : public Tokenizer {
 public:
  /// `grid`: cells per column and row. Throws UsageError for fewer tokens than two levels need.
  ColorTokenizer(int64_t vocab_size,
                 const std::vector<int64_t>& image_size,
                 const std::vector<int64_t>& grid,
                 int64_t channels);

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocab_size() const override { return vocab_size_; }
  int64_t image_height() const override { return image_size_.front(); }
  int64_t image_width() const override { return image_size_.back(); }
  int64_t grid_height() const override { return grid_.front(); }
  int64_t grid_width() const override { return grid_.back(); }

 private:
  int64_t vocab_size_, levels_ = 1;
  std::vector<int64_t> image_size_, grid_;
};

}  // namespace previt
