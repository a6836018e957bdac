#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// facebookresearch/deit, and classifiers of facebookresearch/mae: {"model": timm's names}, with
// "model_ema" beside it. Unlike timm, both resize positions without antialiasing.
class DeitFormat final : public WeightFormat {
 public:
  std::string name() const override { return "deit"; }

  std::string code_base() const override { return "facebookresearch/deit"; }

  bool usual_heads() const override { return true; }

  // Its networks have nothing beside the classifier; files may, as MAE's linear probes have.
  bool has_place(const LoadedModel& model, const std::string& /*name*/) const override {
    return model.format == name();
  }

  bool recognises(const ForeignModel& model) const override {
    return model.pickled && (model.key == "model" || model.key == "model_ema");
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file = official_file(model, {}, "model");
    const std::string average = "ema.", backbone = average + "backbone.";
    for (const auto& [name, tensor] : model.others) {
      if (!name.starts_with(average)) continue;
      const auto& start = name.starts_with(backbone) ? backbone : average;
      file.others["model_ema"][name.substr(start.size())] = tensor;
    }
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    return {"pos_embed", "dist_token", "pool", "num_classes"};
  }
};

}  // namespace

FormatPtr deit_format() { return std::make_unique<DeitFormat>(); }

}  // namespace previt
