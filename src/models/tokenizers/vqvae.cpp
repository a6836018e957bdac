#include "models/tokenizers/vqvae.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "models/kernels/precision.h"

namespace previt {

void visit(FieldVisitor& v, VqvaeNetworkOptions& o) {
  v.section("image", o.image);
  v.section("network", o.network);
  v.section("codebook", o.codebook);
}

Vqvae::Vqvae(const VqvaeNetworkOptions& o) : GridTokenizer(o.image), options_(o) {
  const ImageGrid& image = o.image;
  encoder_ = register_module("encoder",
                             std::make_shared<ConvEncoder>(
                                 image.in_channels, image.patch_size, o.codebook.dim, o.network));
  decoder_ = register_module("decoder",
                             std::make_shared<ConvDecoder>(
                                 o.codebook.dim, image.patch_size, image.in_channels, o.network));
  quantizer_ = register_module("quantize", std::make_shared<VectorQuantizer>(o.codebook));
}

at::Tensor Vqvae::encode(const at::Tensor& pixels) const {
  grid().require_pixels(pixels);
  return encoder_->forward(2 * pixels - 1).to(torch::kFloat32).flatten(2).transpose(1, 2);
}

at::Tensor Vqvae::decode(const at::Tensor& codes) const {
  const at::Tensor map =
      codes.transpose(1, 2).reshape({codes.size(0), codes.size(2), grid_height(), grid_width()});
  return (decoder_->forward(map).to(torch::kFloat32) + 1) / 2;
}

at::Tensor Vqvae::tokens(const at::Tensor& pixels) {
  const torch::NoGradGuard no_grad;
  const ComputeTypeGuard exact(torch::kFloat32);  // tokens don't depend on a run's precision
  return quantizer_->tokens(encode(pixels));
}

}  // namespace previt
