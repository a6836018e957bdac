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
  /// `interpolation` is that of the tokenizer's view of the crop. The tokenizer must not be null.
  TokenTargets(std::shared_ptr<Tokenizer> tokenizer,
               const ViewSpec& model_view,
               Interpolation interpolation,
               const NormalizeOptions& normalize);

  /// From now on tokens are read from the file. Throws UsageError led by beit.tokens if it was made
  /// with another tokenizer or other views, UsageError if the model's view is random, and Error if
  /// the file is damaged or doesn't fit the grid.
  void read_cache(const std::string& path, const TensorFileOpener& open);

  /// The model's view, then the tokenizer's view of the same crop. The second is left out if both
  /// are the same picture, or the tokens come from a file.
  std::vector<ViewSpec> views() const;
  /// The visual tokens of a batch's images, int64 [B, L].
  at::Tensor tokens_of(const Batch& batch);

  /// Whether they come from a file.
  bool are_kept() const { return cache_ != nullptr; }
  /// Those that the file has of the batch's samples, on the host. Throws Error if it lacks one.
  at::Tensor kept_tokens(const Batch& batch) const;
  /// The same, as they come back from the device. Throws Error at the first batch if the file is of
  /// other images.
  at::Tensor checked(const Batch& batch, const at::Tensor& kept);
  /// What the model sees of a batch, [B, C, H, W] in [0, 1].
  at::Tensor pictures_of(const Batch& batch) const;
  /// What the tokens of all images depend on. Throws UsageError if the model's view is random.
  TokenCacheKey cache_key() const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::shared_ptr<Tokenizer> tokenizer_;
  at::Device tokenizer_on_{at::kCPU};
  ViewSpec model_view_, tokenizer_view_;
  NormalizeOptions normalize_;
  std::unique_ptr<TokenCache> cache_;  // null: the tokenizer makes the tokens
};

}  // namespace previt
