#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <vector>

#include "options.h"

namespace previt {

class Conv;

/// Sizes of ConvEncoder and ConvDecoder.
struct ConvOptions {
  int64_t width = 256;  ///< channels at the grid; half as many at each doubling of the resolution
  int64_t blocks = 2;   ///< residual blocks at each resolution
};
void visit(FieldVisitor& v, ConvOptions& o);

/// x + conv1(relu(conv3(relu(x)))) with half the channels between.
class ConvBlock : public torch::nn::Module {
 public:
  explicit ConvBlock(int64_t channels);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  std::shared_ptr<Conv> conv3_, conv1_;
};

/// Halves the resolution log2(patch) times: images [B, C, H, W] → [B, O, H / patch, W / patch].
/// At each resolution a convolution of stride 2, then residual blocks; at the end a 1 x 1
/// convolution. Throws UsageError for a patch that is not a power of two.
class ConvEncoder : public torch::nn::Module {
 public:
  ConvEncoder(int64_t channels, int64_t patch, int64_t out, const ConvOptions& options);
  at::Tensor forward(const at::Tensor& images) const;

 private:
  struct Level {
    std::shared_ptr<Conv> down;
    std::vector<std::shared_ptr<ConvBlock>> blocks;
  };
  std::vector<Level> levels_;
  std::shared_ptr<Conv> out_;
};

/// The way back: [B, I, gh, gw] → [B, O, gh · patch, gw · patch]. A 1 x 1 convolution, then at each
/// resolution residual blocks and a convolution whose channels become 2 x 2 pixels. Throws
/// UsageError as ConvEncoder does.
class ConvDecoder : public torch::nn::Module {
 public:
  ConvDecoder(int64_t in, int64_t patch, int64_t out, const ConvOptions& options);
  at::Tensor forward(const at::Tensor& grid) const;

 private:
  struct Level {
    std::vector<std::shared_ptr<ConvBlock>> blocks;
    std::shared_ptr<Conv> up;
  };
  std::shared_ptr<Conv> in_;
  std::vector<Level> levels_;
};

}  // namespace previt
