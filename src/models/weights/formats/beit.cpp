#include "models/weights/formats/formats.h"

namespace previt {
namespace {

const RenameTable kBeitNames = {{"blocks.#.gamma_1", "blocks.#.ls1.gamma"},
                                {"blocks.#.gamma_2", "blocks.#.ls2.gamma"}};

// microsoft/unilm, beit and beit2, and microsoft/SimMIM (there under "encoder."): {"model": …} with
// biases for queries and values, but not for keys.
class BeitFormat final : public WeightFormat {
 public:
  std::string name() const override { return "beit"; }

  bool recognises(const ForeignModel& model) const override {
    return official_has(model, "blocks.0.attn.q_bias");
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file = official_file(model, {.table = kBeitNames}, "model");
    file.network.merge(file.beside);
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    return {"pos_embed",
            "rel_pos_bias",
            "qkv_bias",
            "layer_scale",
            "attention_dim",
            "pool",
            "num_classes"};
  }
};

}  // namespace

FormatPtr beit_format() { return std::make_unique<BeitFormat>(); }

}  // namespace previt
