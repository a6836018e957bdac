#include "models/weights/formats/formats.h"

namespace previt {

const NamedWeights& official_weights(const ForeignModel& model) {
  // clang-format off
  static const Naming kNaming = {.table = {{"register_tokens", "reg_token"},    // DINOv2
                                           {"*.gamma_1",       "*.ls1.gamma"},  // BEiT
                                           {"*.gamma_2",       "*.ls2.gamma"}},
                                 .steps = {chunked_blocks(), packed_swiglu()}};
  // clang-format on
  if (!model.official) {
    model.official = std::make_shared<const NamedWeights>(to_own(kNaming, model));
  }
  return *model.official;
}

ForeignModel official_file(const LoadedModel& model,
                           const Naming& naming,
                           const std::string& key,
                           const std::string& prefix) {
  ForeignModel file;
  file.key = key;
  file.prefix = prefix;
  file.network = to_foreign(naming, model.weights);
  file.beside = to_foreign(naming, model.extra);
  const auto& config = model.config;
  const bool arguments =
      config.is_object() && !config.contains("model_type") && !config.contains("architecture");
  if (arguments) file.config = config;
  file.pickled = true;
  return file;
}

bool official_has(const ForeignModel& model, const std::string& own_name) {
  return official_weights(model).backbone.contains(own_name);
}

}  // namespace previt
