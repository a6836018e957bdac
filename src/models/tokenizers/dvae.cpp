#include "models/tokenizers/dvae.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "models/kernels/precision.h"

namespace previt {

void visit(FieldVisitor& v, DvaeNetworkOptions& o) {
  v.section("image", o.image);
  v.section("network", o.network);
  v.field("vocabulary", o.vocabulary, "size of the codebook", at_least(2));
}

Dvae::Dvae(const DvaeNetworkOptions& o) : GridTokenizer(o.image), options_(o) {
  const ImageGrid& image = o.image;
  encoder_ = register_module(
      "encoder",
      std::make_shared<ConvEncoder>(image.in_channels, image.patch_size, o.vocabulary, o.network));
  decoder_ = register_module("decoder",
                             std::make_shared<ConvDecoder>(
                                 o.vocabulary, image.patch_size, 2 * image.in_channels, o.network));
}

at::Tensor Dvae::logits(const at::Tensor& pixels) const {
  grid().require_pixels(pixels);
  return encoder_->forward(2 * pixels - 1).to(torch::kFloat32);
}

at::Tensor Dvae::decode(const at::Tensor& weights) const {
  return decoder_->forward(weights).to(torch::kFloat32);
}

at::Tensor Dvae::one_hot(const at::Tensor& tokens) const {
  return torch::one_hot(tokens, options_.vocabulary)
      .transpose(1, 2)
      .reshape({tokens.size(0), options_.vocabulary, grid_height(), grid_width()})
      .to(torch::kFloat32);
}

at::Tensor Dvae::tokens(const at::Tensor& pixels) {
  const torch::NoGradGuard no_grad;
  const ComputeTypeGuard exact(torch::kFloat32);  // tokens don't depend on a run's precision
  return logits(pixels).argmax(1).flatten(1);
}

}  // namespace previt
