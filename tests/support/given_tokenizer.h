#pragma once

#include "models/tokenizers/tokenizer.h"

namespace previt::test {

/// A tokenizer for tests, of square pictures and grids. A cell's token is the value of its upper
/// left red pixel in 255ths, modulo the vocabulary.
class RedTokenizer final : public Tokenizer {
 public:
  RedTokenizer(int64_t side, int64_t grid, int64_t vocab_size)
      : side_(side), grid_(grid), vocab_size_(vocab_size) {}

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocab_size() const override { return vocab_size_; }
  int64_t image_height() const override { return side_; }
  int64_t image_width() const override { return side_; }
  int64_t grid_height() const override { return grid_; }
  int64_t grid_width() const override { return grid_; }

 private:
  int64_t side_, grid_, vocab_size_;
};

}  // namespace previt::test
