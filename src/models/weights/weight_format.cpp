#include "models/weights/weight_format.h"

#include <algorithm>
#include <utility>

#include "error.h"
#include "json_options.h"
#include "models/weights/formats/formats.h"
#include "models/weights/read_network.h"

namespace previt {
namespace {

using nlohmann::json;

// Options that shapes show in every code base, or that do not change what the network computes at
// its own image size.
const std::set<std::string> kAlwaysSaid = {"arch",
                                           "embed_dim",
                                           "depth",
                                           "num_heads",
                                           "mlp_ratio",
                                           "image_size",
                                           "patch_size",
                                           "in_channels",
                                           "pos_resize",
                                           "drop_path",
                                           "drop_path_mode"};

void require_sayable(const VitOptions& options,
                     const std::set<std::string>& said,
                     const std::string& format) {
  const json usual = options_to_json(VitOptions()), wanted = options_to_json(options);
  for (const auto& [key, value] : wanted.items()) {
    // LayerNorm's epsilon is no weight: with theirs the network is nearly the same.
    const std::string advice =
        key == "norm_eps"
            ? fmt::format("; --set model.norm_eps={} writes it with theirs", usual.at(key).dump())
            : "";
    require(kAlwaysSaid.contains(key) || said.contains(key) || value == usual.at(key),
            "{}: its networks have no {}: {}{}",
            format,
            key,
            value.dump(),
            advice);
  }
}

// Other code bases' classifiers with a distillation token have a head for it too.
void require_both_heads(const LoadedModel& model, const std::string& format) {
  require(!model.has_one_head(),
          "{}: its networks with a distillation token have a second head (head_dist), which {} "
          "lacks; --backbone leaves the classes out",
          format,
          model.source);
}

// The options as JSON, those made equal that a file may leave open or say in another way.
json comparable(VitOptions options) {
  const VitOptions usual;
  options.arch = usual.arch;
  options.mlp_ratio = usual.mlp_ratio;  // the weights' shapes hold the hidden width
  options.pos_resize = usual.pos_resize;
  // A fixed table that was resized can't be told from a learned one, and gives the same.
  if (options.pos_embed == PosEmbed::sincos) options.pos_embed = PosEmbed::learned;
  options.drop_path = usual.drop_path;
  options.drop_path_mode = usual.drop_path_mode;
  options.layer_scale = options.layer_scale > 0 ? 1 : 0;  // an initial value
  options.image_size = {options.image_height(), options.image_width()};
  return options_to_json(options);
}

void require_same(const VitOptions& written, VitOptions read, const std::string& format) {
  if (read.num_heads == 0) read.num_heads = written.num_heads;  // not said, so not wrong
  const json want = comparable(written), got = comparable(std::move(read));
  for (const auto& [key, value] : want.items()) {
    require(got.at(key) == value,
            "{}: {}: {} can't be said; it would be read as {}",
            format,
            key,
            value.dump(),
            got.at(key).dump());
  }
}

// Without it, files would be written that their own code base doesn't load.
void require_norm(const LoadedModel& model, const std::string& format) {
  const char* norm = model.options.pool == Pooling::avg ? "fc_norm.weight" : "norm.weight";
  require(model.weights.contains(norm), "{}: the network has no {}", format, norm);
}

}  // namespace

NamedWeights WeightFormat::named(const ForeignModel& model) const {
  return official_weights(model);
}

LoadedModel WeightFormat::read(const ForeignModel& model, const LoadHints& hints) const {
  return read_network(model, named(model), pos_resize(model), hints);
}

ForeignModel WeightFormat::write(const LoadedModel& model) const {
  LoadedModel resolved = model;
  resolved.options = resolve(model.options);
  require_both_heads(resolved, name());
  require_norm(resolved, name());
  require_sayable(resolved.options, says(resolved), name());
  ForeignModel written = foreign(resolved);
  written.place = name();
  const LoadedModel back =
      format_of(written).read(written, {.image_size = resolved.options.image_size});
  require_same(resolved.options, back.options, name());
  return written;
}

const std::vector<std::unique_ptr<WeightFormat>>& weight_formats() {
  static const auto kFormats = [] {
    // A format stands before all that would recognise its files too.
    std::vector<std::unique_ptr<WeightFormat>> formats;
    formats.push_back(hugging_face_format());
    formats.push_back(previt_format());
    formats.push_back(mae_format());
    formats.push_back(dinov2_format());
    formats.push_back(beit_format());
    formats.push_back(dino_format());
    formats.push_back(deit_format());
    formats.push_back(timm_format());
    return formats;
  }();
  return kFormats;
}

const WeightFormat& format_of(const ForeignModel& model) {
  for (const auto& format : weight_formats()) {
    if (format->recognises(model)) return *format;
  }
  fail("{}: holds no Vision Transformer that is known", model.place);
}

const WeightFormat& official_format(const LoadedModel& model) {
  for (const auto& format : weight_formats()) {
    if (format->name() == model.format && !format->code_base().empty()) return *format;
  }
  ForeignModel file = official_file(model, {.table = {{"register_tokens", "reg_token"}}}, "model");
  file.place = model.source;
  file.network.merge(file.beside);
  return format_of(file);
}

const WeightFormat& format_named(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& format : weight_formats()) {
    if (format->name() == name) return *format;
    names.push_back(format->name());
  }
  fail_usage("{}: no format of weights; there are {}", name, fmt::join(names, ", "));
}

}  // namespace previt
