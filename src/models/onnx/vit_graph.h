#pragma once

#include <array>

#include "batch.h"
#include "models/onnx/graph.h"

namespace previt {
class Vit;
}

namespace previt::onnx {

/// Versions of ONNX's operators. OpenCV 4.6 reads the old one. The new one has LayerNormalization,
/// and can resize positions.
constexpr int64_t kOldOpset = 13, kNewOpset = 18;

/// What a graph gives. logits: of the classifier. features: `cls` (where there is such a token),
/// `mean` of the patches and `patches`, after the last norm; `pooled` where the network itself pools
/// another way. attention: features, and the last block's `attention`.
enum class Outputs { logits, features, attention };
constexpr auto enum_names(Outputs) { return std::array{"logits", "features", "attention"}; }

struct VitGraphOptions {
  Outputs outputs = Outputs::features;
  int64_t opset = kOldOpset;
  bool dynamic_size = false;  ///< images of any multiple of the patch; else of the network's size
  bool raw_pixels = false;    ///< the graph takes values from 0 to 255, and normalises them
  NormalizeOptions normalize = {};  ///< for raw_pixels
};

/// The network as a graph from `pixels` [N, C, H, W], normalised, to:
///   logits     [N, classes], the mean over all heads
///   pooled, cls, mean [N, D], patches [N, L, D]; row by row
///   attention  [N, heads, T, T] over all T tokens, prefix tokens first
/// as Vit and features_of compute them. N is free. Of operators only those are used that OpenCV
/// 4.6 and ONNX Runtime both know; with dynamic_size, OpenCV doesn't. The graph refers to the
/// weights of `vit`, which must not change before it is written. Throws UsageError for outputs
/// that the network doesn't have, and for relative positions with dynamic_size.
Graph vit_graph(Vit& vit, const VitGraphOptions& options);

}  // namespace previt::onnx
