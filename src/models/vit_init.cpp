#include "models/layers/block.h"
#include "models/layers/init.h"
#include "models/layers/patch_embed.h"
#include "models/vit.h"

namespace previt {

void Vit::init_weights_timm() {
  torch::NoGradGuard no_grad;
  init_linears_trunc_normal(*this);
  conv_default_(patch_embed->weight(), patch_embed->bias());
  init_tokens();
  for (const at::Tensor& token : {cls_token, dist_token}) {
    if (token.defined()) trunc_normal_(token, 0.02);
  }
}

void Vit::init_weights_mae() {
  torch::NoGradGuard no_grad;
  init_linears_xavier(*this);
  // For the bias alone: MAE leaves it to the framework and draws the weight itself.
  conv_default_(patch_embed->weight(), patch_embed->bias());
  xavier_uniform_(patch_embed->weight());
  init_tokens();
  for (const at::Tensor& token : {cls_token, dist_token}) {
    if (token.defined()) token.normal_(0, 0.02);
  }
}

void Vit::init_weights_beit() {
  torch::NoGradGuard no_grad;
  init_linears_trunc_normal(*this, kBeitInitStd, kBeitInitStd);
  init_tokens();
  // Positions are drawn a second time: without the first draw, a seed would give other weights.
  for (const at::Tensor& tensor : {patch_embed->weight(), cls_token, pos_embed}) {
    const bool drawn = tensor.defined() && tensor.requires_grad();
    if (drawn) trunc_normal_(tensor, kBeitInitStd, kBeitInitStd);
  }
  patch_embed->bias().zero_();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    rescale_block_(*blocks_[i], static_cast<int64_t>(i) + 1);
  }
}

void Vit::init_tokens() {
  if (options_.pos_embed == PosEmbed::learned) trunc_normal_(pos_embed, 0.02);
  if (register_tokens.defined()) register_tokens.normal_(0, 1e-6);
  if (shared_relative_table_.defined()) shared_relative_table_.zero_();
}

}  // namespace previt
