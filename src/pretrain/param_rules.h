#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace previt {

/// How the optimizer treats one parameter: its rate is lr × lr_scale, and it is decayed or not.
struct ParamRule {
  double lr_scale = 1;
  bool decay = true;
  int64_t network = 0;  ///< parameters of one are clipped together (ClipMode::per_network)
};

/// A rule for every parameter, by its name and shape.
using ParamRules = std::function<ParamRule(const std::string& name, const at::Tensor& parameter)>;

/// Decays everything.
ParamRules decay_all();

/// No decay on biases and 1-D parameters: pretraining of MAE, DINO, iBOT (class and mask tokens are
/// 3-D and are decayed).
ParamRules decay_matrices();

/// As decay_matrices, also exempting these names: fine-tuning and BEiT exempt pos_embed and
/// cls_token, distillation dist_token too.
ParamRules decay_matrices_except(std::vector<std::string> names);

/// The layer that a parameter counts to for layer decay. 0: tokens, positions and patch embedding;
/// i + 1: block i; depth + 1: everything after the blocks and what all blocks share
/// (mae:util/lr_decay.py, beit:optim_factory.py).
int64_t vit_layer_id(const std::string& name, int64_t depth);

/// `rules` with the rate scaled by decay ^ (depth + 1 - layer id).
ParamRules with_layer_decay(ParamRules rules, double decay, int64_t depth);

}  // namespace previt
