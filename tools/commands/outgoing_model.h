#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/weights/load_model.h"
#include "models/weights/weight_format.h"

namespace previt::cli {

/// A network on its way to another code base, and what is known about where it comes from.
struct OutgoingModel {
  LoadedModel model;
  std::string method = {};   ///< of the run of ours that made it, as "mae" or "finetune"; "": none
  int64_t epochs = 0;        ///< that this run has done; 0: not known
  std::string license = {};  ///< as its source says, in Hugging Face's word for it; "": not known
  std::vector<std::string> left_out = {};  ///< names of tensors that the format has no place for
};

/// Makes `loaded`, which `from` named, ready to be written as `format`. Of our own runs of MAE,
/// whose other tensors are a training's state, the decoder comes along. With `bare` neither heads
/// nor decoders do. Throws Error led by the file where the number of attention heads is not known.
OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const WeightFormat& format,
                             bool bare);

}  // namespace previt::cli
