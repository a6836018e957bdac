#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "batch.h"
#include "models/vit_options.h"

namespace previt {
class Vit;
}

namespace previt::onnx {

/// A linear layer: weight [O, I], or a kernel [O, C, p, p]; bias [O] or undefined.
struct Layer {
  at::Tensor weight, bias;
};

/// A network's weights as its graph needs them: whatever is constant is worked into them.
class VitWeights {
 public:
  explicit VitWeights(const Vit& vit);

  /// The parameter of this name; undefined without one.
  at::Tensor get(const std::string& name) const;
  Layer layer(const std::string& name) const;  ///< NAME.weight and NAME.bias

  /// The patch projection. With `raw`, of pixels from 0 to 255, which it normalises. Throws Error
  /// for another number of channels.
  Layer projection(const NormalizeOptions* raw) const;
  /// The tokens before the patches with their positions, [1, P, D]; undefined without any.
  at::Tensor prefix() const;
  /// The positions of the patches, [1, L, D]; undefined without any.
  at::Tensor places() const;

  /// Queries (part 0, divided by the root of a head's width), keys (1) or values (2) of the block.
  Layer attention_part(const std::string& block, int64_t part) const;
  /// The last layer of a branch with the branch's LayerScale, if there is one.
  Layer scaled(const std::string& layer, const std::string& scale) const;
  /// One half, 0 or 1, of the first layer of a SwiGLU.
  Layer half(const std::string& name, int64_t which) const;

 private:
  const VitOptions& options_;
  std::map<std::string, at::Tensor> weights_;
};

}  // namespace previt::onnx
