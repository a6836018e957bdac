#pragma once

#include "models/tokenizers/tokenizer.h"
#include "pretrain/objective.h"

namespace previt {

/// Words int64 [B, grid_h · grid_w] as coloured cells, float32 [B, 3, height, width] in [0, 1] on
/// the CPU: a column of a ContactSheet. A word has the same colour everywhere; neighbouring numbers
/// have different ones.
at::Tensor token_map(
    const at::Tensor& words, int64_t grid_h, int64_t grid_w, int64_t height, int64_t width);

/// What a tokenizer makes of pixels [B, C, H, W] in [0, 1]: each picture, what was drawn from its
/// words (`reconstruction`, alike; undefined: nothing is), and the words.
Picture token_picture(Tokenizer& tokenizer,
                      const at::Tensor& pixels,
                      const at::Tensor& reconstruction = {});

}  // namespace previt
