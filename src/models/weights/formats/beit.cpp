#include <fmt/format.h>

#include "models/layers/rel_pos_bias.h"
#include "models/weights/foreign_config.h"
#include "models/weights/formats/formats.h"

namespace previt {
namespace {

const RenameTable kBeitNames = {{"*.gamma_1", "*.ls1.gamma"}, {"*.gamma_2", "*.ls2.gamma"}};

// Buffers beside the tables, which the authors' scripts ask for when they load strictly.
void add_indices(const VitOptions& o, NamedTensors& weights) {
  const std::string table = "relative_position_bias_table", index = "relative_position_index";
  NamedTensors indices;
  for (const auto& [name, tensor] : weights) {
    if (!name.ends_with(table)) continue;
    indices[name.substr(0, name.size() - table.size()) + index] =
        relative_position_index(o.grid_height(), o.grid_width());
  }
  weights.merge(indices);
}

// microsoft/unilm, beit and beit2, and microsoft/SimMIM (there under "encoder."): {"model": …} with
// biases for queries and values, but not for keys.
class BeitFormat final : public WeightFormat {
 public:
  std::string name() const override { return "beit"; }

  std::string code_base() const override { return "microsoft/unilm"; }

  bool has_place(const LoadedModel& /*model*/, const std::string& name) const override {
    return !name.starts_with("decoder.");  // SimMIM's
  }

  bool recognises(const ForeignModel& model) const override {
    return official_has(model, "blocks.0.attn.q_bias");
  }

  // BEiT's scripts take ImageNet's numbers only where they are told to, SimMIM's always do.
  LoadedModel read(const ForeignModel& file, const LoadHints& hints) const override {
    LoadedModel model = WeightFormat::read(file, hints);
    if (model.normalize_told || file.prefix.ends_with("encoder.")) return model;
    model.normalize = half_normalize(model.options.in_channels);
    guess_normalization(model, hints, ", as BEiT's scripts do unless told otherwise");
    return model;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file = official_file(model, {.table = kBeitNames}, "model");
    file.network.merge(file.beside);
    add_indices(model.options, file.network);
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
