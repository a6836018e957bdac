#include "models/tokenizers/vqkd.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "models/kernels/precision.h"
#include "models/layers/block.h"
#include "models/layers/init.h"
#include "models/layers/linear.h"

namespace previt {

class TaskLayer : public torch::nn::Module {
 public:
  TaskLayer(int64_t in, int64_t out) {
    // Numbers as in the official Sequential, where the tanh is 1.
    first_ = register_module("0", std::make_shared<Linear>(in, in));
    second_ = register_module("2", std::make_shared<Linear>(in, out));
    init_linears_trunc_normal(*this);
  }

  at::Tensor forward(const at::Tensor& x) const {
    const ComputeTypeGuard exact(torch::kFloat32);
    return second_->forward(torch::tanh(first_->forward(x)));
  }

 private:
  std::shared_ptr<Linear> first_, second_;
};

namespace {

// Patches are read after the final norm, which only a model pooled by its class token has.
VitOptions with_token_norm(VitOptions o) {
  o.pool = Pooling::cls;
  o.num_classes = 0;
  return resolve(o);
}

VitOptions decoder_of(const VqkdNetworkOptions& options) {
  VitOptions o = with_token_norm(options.encoder);
  o.depth = options.decoder_depth;
  // Its image is the grid of codes, one pixel for each patch.
  o.image_size = {o.grid_height(), o.grid_width()};
  o.patch_size = 1;
  o.in_channels = options.codebook.dim;
  return o;
}

at::Tensor patch_features(Vit& vit, const at::Tensor& images) {
  return vit.forward_features(images).slice(1, vit.num_prefix_tokens());
}

}  // namespace

void visit(FieldVisitor& v, VqkdNetworkOptions& o) {
  v.section("encoder", o.encoder);
  v.field("decoder_depth", o.decoder_depth, "blocks", between(1, 1000));
  v.field("teacher_dim", o.teacher_dim, "width of the predicted features", at_least(1));
  v.section("codebook", o.codebook);
}

Vqkd::Vqkd(const VqkdNetworkOptions& o) : GridTokenizer(image_grid(o.encoder)), options_(o) {
  const int64_t width = o.encoder.embed_dim;
  encoder_ = register_module("encoder", std::make_shared<Vit>(with_token_norm(o.encoder)));
  decoder_ = register_module("decoder", std::make_shared<Vit>(decoder_of(o)));
  encode_task_ =
      register_module("encode_task_layer", std::make_shared<TaskLayer>(width, o.codebook.dim));
  decode_task_ =
      register_module("decode_task_layer", std::make_shared<TaskLayer>(width, o.teacher_dim));
  quantizer_ = register_module("quantize", std::make_shared<VectorQuantizer>(o.codebook));
  for (Vit* vit : {encoder_.get(), decoder_.get()}) {
    int64_t layer = 0;
    for (const auto& block : vit->blocks()) rescale_block_(*block, ++layer);
  }
}

at::Tensor Vqkd::encode(const at::Tensor& pixels) {
  grid().require_pixels(pixels);
  return encode_task_->forward(patch_features(*encoder_, 2 * pixels - 1));
}

at::Tensor Vqkd::decode(const at::Tensor& codes) {
  const at::Tensor map =
      codes.transpose(1, 2).reshape({codes.size(0), codes.size(2), grid_height(), grid_width()});
  return decode_task_->forward(patch_features(*decoder_, map));
}

at::Tensor Vqkd::tokens(const at::Tensor& pixels) {
  const torch::NoGradGuard no_grad;
  return quantizer_->tokens(encode(pixels));
}

}  // namespace previt
