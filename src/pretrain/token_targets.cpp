#include "pretrain/token_targets.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "error.h"
#include "models/weights/weights.h"
#include "upload.h"

namespace previt {
namespace {

bool same_picture(const ViewSpec& a, const ViewSpec& b) {
  return a.height == b.height && a.width == b.width && a.interpolation == b.interpolation;
}

}  // namespace

TokenTargets::TokenTargets(std::shared_ptr<Tokenizer> tokenizer,
                           const ViewSpec& model_view,
                           Interpolation interpolation,
                           const NormalizeOptions& normalize)
    : tokenizer_(std::move(tokenizer)),
      model_view_(model_view),
      tokenizer_view_(model_view),
      normalize_(normalize) {
  tokenizer_view_.name = "tokenizer";
  tokenizer_view_.same_crop_as = model_view_.name;
  tokenizer_view_.height = tokenizer_->image_height();
  tokenizer_view_.width = tokenizer_->image_width();
  tokenizer_view_.interpolation = interpolation;
  tokenizer_view_.pixels = PixelScale::kPlain;
}

void TokenTargets::read_cache(const std::string& path, const TensorFileOpener& open) {
  const TokenCacheKey key = cache_key();
  require(open != nullptr, "beit.tokens: {}: this program reads no such files", path);
  cache_ = std::make_unique<TokenCache>(*open(path), path, key);
  const int64_t cells = tokenizer_->grid_height() * tokenizer_->grid_width();
  if (cache_->tokens_per_image() != cells) {
    fail_usage("beit.tokens: {} has {} tokens of an image, the model has {} patches",
               path,
               cache_->tokens_per_image(),
               cells);
  }
}

std::vector<ViewSpec> TokenTargets::views() const {
  if (cache_ || same_picture(model_view_, tokenizer_view_)) return {model_view_};
  return {model_view_, tokenizer_view_};
}

at::Tensor TokenTargets::tokens_of(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& view = batch.views.back();
  if (cache_) return checked(batch, upload(kept_tokens(batch), view.device()));
  // No objective registers it, so it doesn't move to the device with the rest.
  if (tokenizer_on_ != view.device()) tokenizer_->to(view.device());
  tokenizer_on_ = view.device();
  return tokenizer_->tokens(batch.views.size() == 1 ? pictures_of(batch) : view);
}

at::Tensor TokenTargets::kept_tokens(const Batch& batch) const {
  return cache_->tokens(batch.indices);
}

at::Tensor TokenTargets::checked(const Batch& batch, const at::Tensor& kept) {
  cache_->require_same_images(batch.indices, [&] { return pictures_of(batch); });
  return kept;
}

at::Tensor TokenTargets::pictures_of(const Batch& batch) const {
  return denormalize(batch.views.front(), normalize_).clamp_(0, 1);
}

TokenCacheKey TokenTargets::cache_key() const {
  require_fixed_view(model_view_);
  const nlohmann::json views = {{"model", view_identity(model_view_)},
                                {"tokenizer", view_identity(tokenizer_view_)}};
  // Existing files hold this text, so its words must stay.
  return {fmt::format("{} of {} words", weights_checksum(*tokenizer_), tokenizer_->vocab_size()),
          views.dump()};
}

}  // namespace previt
