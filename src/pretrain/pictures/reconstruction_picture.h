#pragma once

#include <string>

#include "batch.h"
#include "pretrain/objective.h"

namespace previt {

/// What a method that predicts masked pixels has to show.
struct Reconstruction {
  at::Tensor images, predicted;  ///< normalised [B, C, H, W]
  at::Tensor hidden;             ///< float [B, 1, rows, columns]: 1 where a patch was masked
  std::string note;              ///< about the predicted pixels
};

/// A row for each image: input, masked, reconstruction, reconstruction with the visible patches put
/// back.
Picture reconstruction_picture(const Reconstruction& shown, const NormalizeOptions& normalize);

}  // namespace previt
