#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/kernels/weight_copy.h"
#include "options.h"

namespace previt {

class BatchNorm;
class Linear;

/// Sizes of the projection head; the defaults are dino:main_dino.py's.
struct DinoHeadOptions {
  int64_t out_dim = 65536;  ///< prototypes
  int64_t hidden_dim = 2048;
  int64_t bottleneck_dim = 256;
  int64_t layers = 3;  ///< linear layers before the prototypes
  bool use_bn = false;
  bool norm_last_layer = true;  ///< prototypes of length 1: weight_g stays 1 and isn't trained
};
void visit(FieldVisitor& v, DinoHeadOptions& o);

/// Linear layers with GELU between them (with use_bn BatchNorm before each GELU), rows scaled to
/// length 1, then the weight-normed last layer without a bias (dino:vision_transformer.py
/// DINOHead). Parameters have the official names: mlp.0.weight …, last_layer.weight_g [K, 1],
/// last_layer.weight_v [K, C].
///
/// Legend: R rows, D features, C bottleneck, K prototypes.
class DinoHead : public torch::nn::Module {
 public:
  DinoHead(int64_t in_dim, const DinoHeadOptions& options);

  /// Multiply-adds (MACs) for one row, as in vit_macs.h.
  static double macs(int64_t in_dim, const DinoHeadOptions& options);

  /// [R, D] → rows of length 1, float32 [R, C].
  at::Tensor bottleneck(const at::Tensor& features);
  /// [R, D] → logits, float32 [R, K].
  at::Tensor forward(const at::Tensor& features);

  /// While frozen, prototypes get no gradients at all, so that the optimizer neither decays them
  /// nor counts the step. dino:utils.py cancel_gradients_last_layer drops gradients already made.
  void freeze_prototypes(bool frozen) { frozen_ = frozen; }

  at::Tensor weight_g, weight_v;

 protected:
  struct Prototypes {
    at::Tensor g, v;
  };
  // Logits of rows [R, C]; copy: as weight_normed_linear takes it.
  at::Tensor compare(const at::Tensor& rows,
                     const at::Tensor& v,
                     const at::Tensor& g,
                     WeightCopy& copy) const;
  Prototypes add_prototypes(const std::string& name, int64_t count, const DinoHeadOptions& options);

  mutable WeightCopy weight_v_copy_;

 private:
  void add_mlp(int64_t in_dim, const DinoHeadOptions& options);

  bool frozen_ = false;
  std::vector<std::shared_ptr<Linear>> linears_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;  // after each linear layer but the last; or none
};

/// x Wᵀ with W = g · v / ‖v‖ by rows (weight normalisation): x [R, C], v [K, C], g [K, 1] → float32
/// [R, K]. The matmul with v is in compute_type(). W itself is never made; the lengths of its rows
/// scale the result. If frozen, v and g get no gradient. copy: the layer's copy of v in the compute
/// type.
at::Tensor weight_normed_linear(
    const at::Tensor& x, const at::Tensor& v, const at::Tensor& g, bool frozen, WeightCopy& copy);

}  // namespace previt
