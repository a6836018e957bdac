#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "batch.h"
#include "tensor_files.h"

namespace previt {

/// What the tokens of images depend on. Both texts are compared with those stored in a file.
struct TokenCacheKey {
  std::string tokenizer;  ///< checksum of its weights, and how many tokens it has
  std::string views;      ///< what it and the model see of an image
};

/// Throws UsageError led by the key if this view of an image isn't the same picture every time.
void require_fixed_view(const ViewSpec& view);

/// The sum of a picture's values in 255ths. It tells pictures apart: two of them hardly ever have
/// the same. pictures [B, C, H, W] in [0, 1] → int64 [B] on the host.
at::Tensor pixel_sums(const at::Tensor& pictures);

/// The tokens of a data set's images, made once and kept in a file (tools: cache_tokens). The file
/// holds `tokens` int64 [N, L] (`words` in older files) and `pixel_sums` int64 [N], both by sample,
/// and describes its `tokenizer` and `views`.
///
/// Legend: N samples of the data set, L tokens of each, B samples of a batch.
class TokenCache {
 public:
  /// Throws UsageError led by beit.tokens if the file was made with another tokenizer or other
  /// views, Error if it is damaged.
  TokenCache(const TensorFile& file, const std::string& path, const TokenCacheKey& key);

  /// The tokens of the samples `indices` [B], int64 [B, L] on the host. Throws Error if the file
  /// lacks one.
  at::Tensor tokens(const at::Tensor& indices) const;

  /// `pictures` gives what the model sees of samples that tokens() has given, [B, C, H, W] in
  /// [0, 1]. The first call compares these with the images that the file was made of. Throws Error
  /// if they differ.
  void require_same_images(const at::Tensor& indices, const std::function<at::Tensor()>& pictures);

  int64_t tokens_per_image() const { return tokens_.size(1); }

 private:
  std::string path_;
  at::Tensor tokens_, pixel_sums_;
  bool same_images_ = false;
};

}  // namespace previt
