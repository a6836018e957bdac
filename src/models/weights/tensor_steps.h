#pragma once

#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// What renaming alone can't do, with its inverse. Both see our names: to_own runs after the table
/// has renamed, to_foreign before. A step leaves alone all tensors that it is not about.
struct TensorStep {
  /// Errors are led by `place`.
  void (*to_own)(NamedTensors& weights, const std::string& place);
  void (*to_foreign)(NamedTensors& weights);
};

/// Foreign (Hugging Face): attn.query, attn.key and attn.value, each [A, D]. Ours: attn.qkv
/// [3 A, D], query first. If the keys have no bias (BEiT), the others are q_bias and v_bias.
TensorStep split_qkv();

/// Foreign: timm's SwiGLU, fc1 [2 H, D] and fc2 [D, H]. A plain MLP has other shapes.
/// Ours, as DINOv2's: w12 and w3. The order of the halves is the same.
TensorStep packed_swiglu();

/// DINOv2 saved from FSDP counts its blocks in chunks: "blocks.2.17.norm1" is block 17. It is read
/// so, but never written.
TensorStep chunked_blocks();

}  // namespace previt
