#pragma once

#include "batch.h"
#include "models/tokenizers/tokenizer.h"
#include "pretrain/objective.h"

namespace previt {

// Pictures of tokens, in which every token has a colour of its own.

/// Tokens int64 [B, rows · columns] as coloured cells, float32 [B, 3, height, width] in [0, 1] on
/// the CPU; height and width are multiples of rows and columns. A token has the same colour
/// everywhere; neighbouring numbers have different ones.
at::Tensor token_map(
    const at::Tensor& tokens, int64_t rows, int64_t columns, int64_t height, int64_t width);

/// What a tokenizer makes of pixels [B, C, H, W] in [0, 1], a row for each image: the image, its
/// reconstruction from the tokens (of the same shape; left out if undefined), and the tokens.
Picture token_picture(Tokenizer& tokenizer,
                      const at::Tensor& pixels,
                      const at::Tensor& reconstruction = {});

/// What masked token prediction makes of images [B, C, H, W] (normalised), a row for each: the
/// input, the input with its masked patches (bool [B, L]) in grey, its tokens [B, L], and the
/// predicted tokens [B, L] of the masked patches among the true ones, which are paler.
Picture masked_token_picture(const at::Tensor& images,
                             const at::Tensor& masked,
                             const at::Tensor& tokens,
                             const at::Tensor& predicted,
                             const NormalizeOptions& normalize);

}  // namespace previt
