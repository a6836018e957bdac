#include "pretrain/token_cache.h"

#include <torch/types.h>

#include "error.h"
#include "view_ops.h"

namespace previt {

void require_fixed_view(const ViewSpec& view) {
  if (view.crop != CropKind::center && view.crop != CropKind::resize &&
      view.crop != CropKind::none) {
    fail_usage(
        "augment.crop: {} cuts other pictures each time, beit.tokens are of one; use "
        "center, resize or none",
        name_of(view.crop));
  }
  if (const auto changing = changing_setting(view)) {
    fail_usage("augment.{}: {}, but beit.tokens are of one picture; use {}",
               changing->key,
               changing->value,
               changing->fixed);
  }
}

at::Tensor pixel_sums(const at::Tensor& pictures) {
  // Whole numbers, whose sum is exact in any order.
  return pictures.mul(255).round().to(torch::kInt64).sum({1, 2, 3}).cpu();
}

TokenCache::TokenCache(const TensorFile& file, const std::string& path, const TokenCacheKey& key)
    : path_(path),
      tokens_(file.read(file.has("tokens") ? "tokens" : "words")),
      pixel_sums_(file.read("pixel_sums")) {
  const auto require_same = [&](const char* name, const std::string& wanted, const char* other) {
    if (file.description(name) != wanted) {
      fail_usage("beit.tokens: {} was made with {}; make it again with cache_tokens", path, other);
    }
  };
  require_same("tokenizer", key.tokenizer, "another tokenizer");
  require_same("views", key.views, "other views of the images");
  require(tokens_.dim() == 2 && tokens_.scalar_type() == torch::kInt64 &&
              pixel_sums_.sizes() == at::IntArrayRef(tokens_.size(0)),
          "{}: tokens are not int64 [N, L], or not as many as pixel_sums",
          path);
}

at::Tensor TokenCache::tokens(const at::Tensor& indices) const {
  require(indices.max().item<int64_t>() < tokens_.size(0),
          "{}: has tokens of {} images, image {} is asked for; make it again with cache_tokens",
          path_,
          tokens_.size(0),
          indices.max().item<int64_t>());
  at::Tensor tokens = tokens_.index_select(0, indices);
  require(tokens.min().item<int64_t>() >= 0,
          "{}: lacks an image that couldn't be read then; make it again with cache_tokens",
          path_);
  return tokens;
}

void TokenCache::require_same_images(const at::Tensor& indices,
                                     const std::function<at::Tensor()>& pictures) {
  if (same_images_) return;
  require(torch::equal(pixel_sums_.index_select(0, indices), pixel_sums(pictures())),
          "{}: has tokens of other images, or in another order; make it again with cache_tokens",
          path_);
  same_images_ = true;
}

}  // namespace previt
