#include "models/vit_macs.h"

namespace previt {
namespace {

// The last block for the class token alone, which makes no keys and values (Attention::forward).
double class_block_macs(const VitOptions& o, int64_t tokens) {
  const auto n = static_cast<double>(tokens), h = static_cast<double>(o.num_heads);
  const auto d = static_cast<double>(o.embed_dim), a = static_cast<double>(o.attention_width());
  return (4 * a + 2 * o.mlp_ratio * d) * d + 2 * h * n * d;
}

double whole_block_macs(const VitOptions& o, int64_t tokens) {
  return block_macs(tokens, tokens, o.embed_dim, o.mlp_ratio, o.attention_width());
}

}  // namespace

double block_macs(
    int64_t tokens, int64_t queries, int64_t dim, double mlp_ratio, int64_t attention) {
  const auto n = static_cast<double>(tokens), m = static_cast<double>(queries);
  const auto d = static_cast<double>(dim), a = static_cast<double>(attention);
  // Keys and values of all tokens; the queries, their projection and MLP; q kᵀ and p v.
  return 2 * d * a * n + (2 * a + 2 * mlp_ratio * d) * d * m + 2 * m * n * a;
}

double blocks_rows_macs(const VitOptions& o, int64_t rows) {
  const int64_t patches = o.num_patches(), tokens = patches + o.num_prefix_tokens();
  const int64_t pixels = o.patch_size * o.patch_size * o.in_channels;
  const auto d = static_cast<double>(o.embed_dim), a = static_cast<double>(o.attention_width());
  // The last block projects only `rows` tokens and runs the MLP for them alone.
  const double saved = (a + 2 * o.mlp_ratio * d) * d * static_cast<double>(tokens - rows);
  return static_cast<double>(patches * pixels * o.embed_dim) +
         static_cast<double>(o.depth) * whole_block_macs(o, tokens) - saved;
}

double pooled_macs(const VitOptions& o, int64_t height, int64_t width) {
  const int64_t patches = (height / o.patch_size) * (width / o.patch_size);
  const int64_t tokens = patches + o.num_prefix_tokens();
  const double block = whole_block_macs(o, tokens);
  const int64_t pixels = o.patch_size * o.patch_size * o.in_channels;
  return static_cast<double>(patches * pixels * o.embed_dim) +
         static_cast<double>(o.depth - 1) * block +
         (o.pool == Pooling::cls ? class_block_macs(o, tokens) : block);
}

}  // namespace previt
