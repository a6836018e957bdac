#include "pretrain/objective.h"

#include "models/weights/load_model.h"
#include "upload.h"

namespace previt {

std::vector<StartingBackbone> Objective::starting_backbones() {
  const auto vit = backbone();
  if (vit == nullptr) return {};
  return {{"", vit.get()}};
}

InFiles Objective::in_files(const std::string& name) const {
  return {.part = name.substr(0, name.find('.')), .names = {name}};
}

std::vector<at::Tensor> Objective::drawn(const Batch& batch) const {
  if (!batch.drawn.empty()) return batch.drawn;
  std::vector<at::Tensor> now = draw(batch);
  for (at::Tensor& one : now) one = upload(one, batch.views.front().device());
  return now;
}

KeptModel Objective::kept_model() {
  const auto vit = backbone();
  TORCH_CHECK(vit != nullptr, "an objective without a backbone must say what it keeps");
  return {vit, describe_backbone(vit->options())};
}

}  // namespace previt
