#include "models/tokenizers/conv_autoencoder.h"

#include <torch/types.h>

#include <algorithm>
#include <bit>

#include "error.h"
#include "models/layers/conv.h"

namespace previt {
namespace {

constexpr int64_t kFewestChannels = 8;

int64_t halvings(int64_t patch) {
  const auto unsigned_patch = static_cast<uint64_t>(patch);
  if (patch < 2 || !std::has_single_bit(unsigned_patch)) {
    fail_usage("model.patch_size: {} is no power of two, which a convolutional tokenizer needs",
               patch);
  }
  return std::countr_zero(unsigned_patch);
}

int64_t channels_at(int64_t doublings, const ConvOptions& options) {
  return std::max(options.width >> doublings, kFewestChannels);
}

std::string numbered(const char* name, int64_t level, int64_t block) {
  return fmt::format("{}{}_{}", name, level, block);
}

std::vector<std::shared_ptr<ConvBlock>> register_blocks(torch::nn::Module& module,
                                                        int64_t level,
                                                        int64_t channels,
                                                        int64_t count) {
  std::vector<std::shared_ptr<ConvBlock>> blocks;
  for (int64_t i = 0; i < count; ++i) {
    blocks.push_back(
        module.register_module(numbered("block", level, i), std::make_shared<ConvBlock>(channels)));
  }
  return blocks;
}

}  // namespace

void visit(FieldVisitor& v, ConvOptions& o) {
  v.field("width",
          o.width,
          "channels at the grid, halved at each doubling of the resolution",
          at_least(kFewestChannels));
  v.field("blocks", o.blocks, "residual blocks at each resolution", between(0, 100));
}

ConvBlock::ConvBlock(int64_t channels) {
  const int64_t between = channels / 2;
  conv3_ = register_module("conv3", std::make_shared<Conv>(channels, between, 3));
  conv1_ = register_module("conv1", std::make_shared<Conv>(between, channels, 1));
}

at::Tensor ConvBlock::forward(const at::Tensor& x) const {
  return x + conv1_->forward(torch::relu(conv3_->forward(torch::relu(x))));
}

ConvEncoder::ConvEncoder(int64_t channels, int64_t patch, int64_t out, const ConvOptions& options) {
  const int64_t count = halvings(patch);
  for (int64_t level = 1; level <= count; ++level) {
    const int64_t width = channels_at(count - level, options);
    Level& added = levels_.emplace_back();
    added.down = register_module(fmt::format("down{}", level),
                                 std::make_shared<Conv>(channels, width, 4, 2));
    added.blocks = register_blocks(*this, level, width, options.blocks);
    channels = width;
  }
  out_ = register_module("out", std::make_shared<Conv>(channels, out, 1));
}

at::Tensor ConvEncoder::forward(const at::Tensor& images) const {
  at::Tensor x = images;
  for (const Level& level : levels_) {
    x = level.down->forward(x);
    for (const auto& block : level.blocks) x = block->forward(x);
    x = torch::relu(x);
  }
  return out_->forward(x);
}

ConvDecoder::ConvDecoder(int64_t in, int64_t patch, int64_t out, const ConvOptions& options) {
  const int64_t count = halvings(patch);
  in_ = register_module("in", std::make_shared<Conv>(in, channels_at(0, options), 1));
  // Levels have the numbers of the encoder's: 1 is next to the image.
  for (int64_t level = count; level >= 1; --level) {
    const int64_t width = channels_at(count - level, options);
    const int64_t next = level == 1 ? out : channels_at(count - level + 1, options);
    Level& added = levels_.emplace_back();
    added.blocks = register_blocks(*this, level, width, options.blocks);
    added.up =
        register_module(fmt::format("up{}", level), std::make_shared<Conv>(width, 4 * next, 3));
  }
}

at::Tensor ConvDecoder::forward(const at::Tensor& grid) const {
  at::Tensor x = in_->forward(grid);
  for (const Level& level : levels_) {
    for (const auto& block : level.blocks) x = block->forward(x);
    // Sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158).
    x = torch::pixel_shuffle(level.up->forward(torch::relu(x)), 2);
  }
  return x;
}

}  // namespace previt
