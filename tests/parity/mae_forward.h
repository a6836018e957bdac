#pragma once

#include "models/weights/load_model.h"
#include "parity/parity.h"
#include "pretrain/objectives/mae.h"

namespace previt::parity {

/// The whole masked autoencoder of a file that holds its decoder too: mask, prediction and loss for
/// given noise must be those of the authors.
struct MaeForward {
  at::Tensor images, noise;
  at::Tensor mask, prediction, loss;  ///< wanted

  void check(const LoadedModel& model, const MaeMethodOptions& method, Check& check) const;
};

}  // namespace previt::parity
