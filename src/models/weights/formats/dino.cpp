#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// facebookresearch/dino and bytedance/ibot: {"student", "teacher"}, each a "backbone." under timm's
// names with a "head." beside it. The weights that they publish are bare backbones, without a
// wrapper.
class DinoFormat final : public WeightFormat {
 public:
  std::string name() const override { return "dino"; }

  bool recognises(const ForeignModel& model) const override {
    const auto under = [&](const char* word) {
      return model.prefix.find(word) != std::string::npos;
    };
    const bool bare = model.pickled && model.key.empty() && !official_has(model, "head.weight");
    return under("teacher") || under("backbone.") || bare;
  }

  ResizeConvention pos_resize(const ForeignModel& /*model*/) const override {
    return ResizeConvention::dino;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    return official_file(model, {}, "teacher", "backbone.");
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override { return {"pos_embed"}; }
};

}  // namespace

FormatPtr dino_format() { return std::make_unique<DinoFormat>(); }

}  // namespace previt
