#pragma once

#include <memory>

#include "models/weights/naming.h"
#include "models/weights/weight_format.h"

namespace previt {

using FormatPtr = std::unique_ptr<WeightFormat>;

FormatPtr beit_format();
FormatPtr deit_format();
FormatPtr dino_format();
FormatPtr dinov2_format();
FormatPtr hugging_face_format();
FormatPtr mae_format();
FormatPtr previt_format();
FormatPtr timm_format();

/// The model's tensors under our names, read with all names that official code writes and timm does
/// not, whichever code base it is. Made once for each model.
const NamedWeights& official_weights(const ForeignModel& model);

/// A model under the names that `naming` makes: the backbone's after `prefix`, the rest without it,
/// in the state_dict `key` of a file of torch.save.
ForeignModel official_file(const LoadedModel& model,
                           const Naming& naming,
                           const std::string& key,
                           const std::string& prefix = "");

/// Whether the model's backbone has a tensor of this name, once official names are ours. Of a
/// classifier ("head.weight"): whether it takes features of the backbone's width.
bool official_has(const ForeignModel& model, const std::string& own_name);

}  // namespace previt
