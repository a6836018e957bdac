#include "parity/configured_model.h"

#include "models/weights/weights.h"

namespace previt::parity {

LoadedModel load_configured(const std::string& path, const SafeTensors& want) {
  const auto it = want.metadata.find("config");
  if (it == want.metadata.end()) return load_model(path);
  const auto config = nlohmann::json::parse(it->second);
  LoadHints hints;
  if (config.contains("img_size") && config["img_size"].is_array()) {
    hints.image_size = config["img_size"].get<std::vector<int64_t>>();
  }
  LoadedModel model = load_model(path, nullptr, hints);
  for (const char* key : {"num_heads", "num_attention_heads"}) {
    if (config.contains(key)) model.options.num_heads = config[key];
  }
  for (const char* key : {"ln_eps", "layer_norm_eps"}) {
    if (config.contains(key)) model.options.norm_eps = config[key];
  }
  return model;
}

std::shared_ptr<Vit> build(const LoadedModel& model, Check& check) {
  auto vit = std::make_shared<Vit>(model.options);
  const LoadReport report = load_into(*vit, model.weights);
  check.that(fmt::format("missing {}", report.missing), report.missing.empty());
  check.that(fmt::format("unexpected {}", report.unexpected), report.unexpected.empty());
  return vit;
}

}  // namespace previt::parity
