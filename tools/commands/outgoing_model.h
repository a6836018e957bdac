#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/weights/load_model.h"
#include "models/weights/weight_format.h"

namespace previt::cli {

/// A network on its way to another code base, and what is known about where it comes from.
struct OutgoingModel {
  LoadedModel model;
  const WeightFormat* format = nullptr;
  std::string method = {};  ///< of the run of ours that made it, as "mae" or "finetune"; "": none
  std::string checkpoint = {};                ///< of this run, its path there; "": not known
  int64_t epochs = 0;                         ///< that this run has done; 0: not known
  int64_t images = 0;                         ///< in one of them; 0: not known
  std::map<std::string, double> scores = {};  ///< in percent, that the run gave these very weights
  std::string license = {};  ///< as its source says, in Hugging Face's word for it; "": not known
  std::vector<std::string> left_out = {};  ///< names of tensors that the format has no place for
};

/// Chooses the format of a model whose method's parts are laid out (ObjectiveRecipe::lay_out).
using FormatChoice = std::function<const WeightFormat&(const LoadedModel&)>;

/// Makes `loaded`, which `from` named, ready to be written. Of our own runs, whose other tensors
/// are a training's state, those of the method come along that the format has a place for. With
/// `bare` neither heads nor decoders do. Throws Error led by the file where the number of attention
/// heads is not known.
OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const FormatChoice& choose,
                             bool bare);
OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const WeightFormat& format,
                             bool bare);

/// Moves what the format has no place for to `left_out`, by name.
void leave_out_misfits(OutgoingModel& out);

}  // namespace previt::cli
