#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// facebookresearch/dino and bytedance/ibot: {"student", "teacher"}, each a "backbone." under timm's
// names with a "head." beside it, and the loss's center. The weights that they publish are bare
// backbones, without a wrapper.
class DinoFormat final : public WeightFormat {
 public:
  std::string name() const override { return "dino"; }

  std::string code_base() const override { return "facebookresearch/dino, bytedance/ibot"; }

  bool usual_heads() const override { return true; }

  bool recognises(const ForeignModel& model) const override {
    const auto under = [&](const char* word) {
      return model.prefix.find(word) != std::string::npos;
    };
    const bool of_timm = model.config.is_object() && model.config.contains("architecture");
    const bool bare =
        model.pickled && !of_timm && model.key.empty() && !official_has(model, "head.weight");
    return under("teacher") || under("backbone.") || bare;
  }

  ResizeConvention pos_resize(const ForeignModel& /*model*/) const override {
    return ResizeConvention::dino;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file = official_file(model, {}, "teacher", "backbone.");
    // The student comes as DistributedDataParallel wraps it. Buffers of the loss are "dino_loss.…".
    const std::string student = "student.";
    for (const auto& [name, tensor] : model.others) {
      const size_t dot = name.find('.');
      if (!name.starts_with(student)) {
        file.others[name.substr(0, dot)][name.substr(dot + 1)] = tensor;
        continue;
      }
      const std::string own = name.substr(student.size());
      const bool placed = own.starts_with("backbone.") || own.starts_with("head.");
      file.others["student"][(placed ? "module." : "module.backbone.") + own] = tensor;
    }
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override { return {"pos_embed"}; }
};

}  // namespace

FormatPtr dino_format() { return std::make_unique<DinoFormat>(); }

}  // namespace previt
