#pragma once

#include <ATen/core/Tensor.h>

#include "models/vit_options.h"
#include "pretrain/run_options.h"

namespace previt {

/// train.precision, with `automatic` decided and told in a line: bf16 on a GPU; on a CPU the type in
/// which the linear layers of a block of `model`, forward and backward, take less time here. They
/// are measured for a fraction of a second. So small a model that its layers take no time gets fp32,
/// and so does a processor that computes bfloat16 in float32.
/// images: how many a layer sees at a time, of the model's own size.
Precision decided_precision(Precision asked,
                            const VitOptions& model,
                            int64_t images,
                            at::Device device);

}  // namespace previt
