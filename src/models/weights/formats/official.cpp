#include "models/weights/foreign_config.h"
#include "models/weights/formats/formats.h"

namespace previt {
namespace {

using nlohmann::json;

// What stands under "args": the source's own arguments, and what neither they nor shapes tell. The
// authors' scripts ignore these; apply_config reads them.
json arguments(const LoadedModel& model) {
  const json& given = model.config;
  const bool own =
      given.is_object() && !given.contains("model_type") && !given.contains("architecture");
  json args = own ? given : json::object();
  args[kOwnArguments] = {
      {"model_args",
       {{"num_heads", model.options.num_heads}, {"img_size", config_image_size(model.options)}}},
      {"pretrained_cfg",
       {{"mean", model.normalize.mean},
        {"std", model.normalize.std},
        {"crop_pct", model.crop_pct}}},
      {"label_names", model.class_names}};
  return args;
}

}  // namespace

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
  if (!key.empty()) file.config = arguments(model);
  file.pickled = true;
  return file;
}

bool official_has(const ForeignModel& model, const std::string& own_name) {
  return official_weights(model).backbone.contains(own_name);
}

}  // namespace previt
