#include <utility>

#include "error.h"
#include "json_options.h"
#include "json_text.h"
#include "models/weights/formats/formats.h"

namespace previt {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;

// Reads the values of our header, each of which is JSON.
class OwnHeader {
 public:
  explicit OwnHeader(const ForeignModel& model) : model_(model) {}

  bool has(const char* key) const { return model_.metadata.contains(key); }
  std::string place(const char* key) const { return model_.place + ": " + key; }
  json value(const char* key) const {
    const auto it = model_.metadata.find(key);
    require(it != model_.metadata.end(), "{}: header without {}", model_.place, key);
    return parse_json(it->second, place(key));
  }

 private:
  const ForeignModel& model_;
};

// Our own files of weights: timm's names, and everything else in the header of safetensors.
class PrevitFormat final : public WeightFormat {
 public:
  std::string name() const override { return "previt"; }

  bool recognises(const ForeignModel& model) const override {
    return model.metadata.contains(kOwnHeader);
  }

  LoadedModel read(const ForeignModel& foreign, const LoadHints& /*hints*/) const override {
    require(!foreign.metadata.contains("tokenizer"),
            "{}: is an image tokenizer, not a backbone; it makes the targets of masked token "
            "prediction",
            foreign.place);
    const OwnHeader header(foreign);
    require(header.value(kOwnHeader) == kFormatVersion,
            "{}: written by a newer version of PreViT",
            foreign.place);
    LoadedModel model;
    model.source = foreign.place;
    model.heads_told = model.normalize_told = true;
    model.options = options_from_json<VitOptions>(header.value("arch"), header.place("arch"));
    model.normalize =
        options_from_json<NormalizeOptions>(header.value("normalize"), header.place("normalize"));
    if (header.has("crop_pct")) {
      const json crop_pct = header.value("crop_pct");
      require(crop_pct.is_number() && crop_pct >= 0 && crop_pct <= 1,
              "{}: not a number in [0, 1]",
              header.place("crop_pct"));
      model.crop_pct = crop_pct;
    }
    const json names = header.value("class_names");
    require(names.is_array(), "{}: not a list", header.place("class_names"));
    for (const auto& name : names) {
      require(name.is_string(), "{}: not a list of words", header.place("class_names"));
      model.class_names.push_back(name.get<std::string>());
    }
    model.weights = foreign.network;
    return model;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file;
    file.network = model.weights;
    file.metadata =
        model_metadata(model.options, model.normalize, model.class_names, model.crop_pct);
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    std::set<std::string> all;
    const json usual = options_to_json(VitOptions());
    for (const auto& [key, value] : usual.items()) all.insert(key);
    return all;
  }
};

}  // namespace

FormatPtr previt_format() { return std::make_unique<PrevitFormat>(); }

std::map<std::string, std::string> describe_backbone(const VitOptions& options) {
  return {{"arch", options_to_json(options).dump()}};
}

std::map<std::string, std::string> model_metadata(std::map<std::string, std::string> description,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct) {
  description.merge(std::map<std::string, std::string>{
      {"format", "pt"},  // without it transformers refuses safetensors
      {kOwnHeader, std::to_string(kFormatVersion)},
      {"previt_version", PREVIT_VERSION},
      {"normalize", options_to_json(normalize).dump()},
      {"class_names", json_text(json(class_names))},
      {"crop_pct", json(crop_pct).dump()}});
  return description;
}

std::map<std::string, std::string> model_metadata(const VitOptions& options,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct) {
  return model_metadata(describe_backbone(options), normalize, class_names, crop_pct);
}

}  // namespace previt
