#pragma once

#include <memory>
#include <string>
#include <vector>

#include "batch.h"
#include "models/tokenizers/tokenizer.h"
#include "pretrain/token_cache.h"
#include "tensor_files.h"

namespace previt {

/// Where the targets of masked token prediction come from: a frozen tokenizer that sees the model's
/// crop at its own size, or a file that keeps the tokens of all images.
///
/// Legend: B images of the batch, L tokens of each.
class TokenTargets {
 public:
  /// `interpolation` is of the tokenizer's view of the crop. The tokenizer isn't null.
  TokenTargets(std::shared_ptr<Tokenizer> tokenizer,
               const ViewSpec& model_view,
               Interpolation interpolation,
               const NormalizeOptions& normalize);

  /// From now on tokens are read from the file. Throws UsageError led by beit.tokens where it is of
  /// another tokenizer or other views, or where a view draws.
  void read_cache(const std::string& path, const TensorFileOpener& open);

  /// The model's view, then the tokenizer's picture of the same crop unless it is the same picture
  /// or its tokens are there already.
  std::vector<ViewSpec> views() const;
  /// The visual tokens of a batch's images, int64 [B, L].
  at::Tensor tokens_of(const Batch& batch);
  /// What the model sees of a batch, [B, C, H, W] in [0, 1].
  at::Tensor pictures_of(const Batch& batch) const;
  /// What the tokens of all images depend on. Throws UsageError where a view draws.
  TokenCacheKey cache_key() const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::shared_ptr<Tokenizer> tokenizer_;
  ViewSpec model_view_, tokenizer_view_;
  NormalizeOptions normalize_;
  std::unique_ptr<TokenCache> cache_;  // null: the tokenizer makes the tokens
};

}  // namespace previt
