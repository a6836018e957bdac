#pragma once

#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// What renaming alone can't do, with its inverse. Both work on our names, before the table has
/// made foreign ones of them or after it has made ours. What a step isn't about it leaves alone.
struct TensorStep {
  /// Errors are led by `place`.
  void (*to_own)(NamedTensors& weights, const std::string& place);
  void (*to_foreign)(NamedTensors& weights);
};

/// Foreign: attn.query, attn.key, attn.value, each [A, D], where Hugging Face has one matrix each.
/// Ours: attn.qkv [3 A, D], query first. Without a bias of the keys (BEiT) the others are q_bias
/// and v_bias.
TensorStep split_qkv();

/// Foreign: timm's SwiGLU, fc1 [2 H, D] and fc2 [D, H], told from a plain MLP by these shapes.
/// Ours, as DINOv2's: w12 and w3. The order of the halves is the same.
TensorStep packed_swiglu();

/// DINOv2 saved from FSDP counts its blocks in chunks: "blocks.2.17.norm1" is block 17. Read so,
/// never written.
TensorStep chunked_blocks();

}  // namespace previt
