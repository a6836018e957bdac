#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// facebookresearch/deit, and classifiers of facebookresearch/mae: {"model": timm's names}, with
// "model_ema" beside it. Unlike timm, both resize positions without antialiasing.
class DeitFormat final : public WeightFormat {
 public:
  std::string name() const override { return "deit"; }

  bool recognises(const ForeignModel& model) const override {
    return model.pickled && (model.key == "model" || model.key == "model_ema");
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    return official_file(model, {}, "model");
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    return {"pos_embed", "dist_token", "pool", "num_classes"};
  }
};

}  // namespace

FormatPtr deit_format() { return std::make_unique<DeitFormat>(); }

}  // namespace previt
