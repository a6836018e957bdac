#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "batch.h"
#include "tensor_files.h"

namespace previt {

/// What the tokens of images depend on. Both texts are compared with those in a file.
struct TokenCacheKey {
  std::string tokenizer;  ///< its weights_checksum and how many tokens it has
  std::string views;      ///< what it and the model see of an image
};

/// Throws UsageError led by the key where this view of an image is not always the same picture.
void require_fixed_view(const ViewSpec& view);

/// Of pictures [B, C, H, W] in [0, 1], int64 [B] on the host: the sum of their values in 255ths.
/// Two pictures hardly ever have the same.
at::Tensor pixel_sums(const at::Tensor& pictures);

/// The tokens of a data set's images, made once (tools: cache_tokens). A file of it holds `tokens`
/// int64 [N, L] (`words` in older files) and `pixel_sums` int64 [N] by sample, and describes its
/// `tokenizer` and `views`.
///
/// Legend: N samples of the data set, L tokens of each, B of a batch.
class TokenCache {
 public:
  /// Throws UsageError led by beit.tokens where the file was made otherwise.
  TokenCache(const TensorFile& file, const std::string& path, const TokenCacheKey& key);

  /// Of the samples `indices` [B], int64 [B, L] on the host. `pictures` gives what the model sees
  /// of them, [B, C, H, W] in [0, 1]: that these are the images of the file is looked at once.
  at::Tensor tokens(const at::Tensor& indices, const std::function<at::Tensor()>& pictures);

  int64_t tokens_per_image() const { return tokens_.size(1); }

 private:
  std::string path_;
  at::Tensor tokens_, pixel_sums_;
  bool same_images_ = false;
};

}  // namespace previt
