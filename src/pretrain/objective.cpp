#include "pretrain/objective.h"

#include "models/weights/load_model.h"

namespace previt {

KeptModel Objective::kept_model() {
  const auto vit = backbone();
  TORCH_CHECK(vit != nullptr, "an objective without a backbone must say what it keeps");
  return {vit, describe_backbone(vit->options())};
}

}  // namespace previt
