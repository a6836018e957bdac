#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// facebookresearch/mae, pre-training: {"model": encoder and decoder}, all under timm's names. Its
// bare encoders have DeiT's layout; only their sin-cos positions show what they are (read_network).
class MaeFormat final : public WeightFormat {
 public:
  std::string name() const override { return "mae"; }

  std::string code_base() const override { return "facebookresearch/mae"; }

  bool usual_heads() const override { return true; }

  bool recognises(const ForeignModel& model) const override {
    return model.find("decoder_pos_embed") != nullptr;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    return official_file(model, {}, "model");
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override { return {"pos_embed"}; }
};

}  // namespace

FormatPtr mae_format() { return std::make_unique<MaeFormat>(); }

}  // namespace previt
