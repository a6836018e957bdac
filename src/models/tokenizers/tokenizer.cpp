#include "models/tokenizers/tokenizer.h"

#include <torch/types.h>

#include <filesystem>

#include "error.h"
#include "json_text.h"
#include "log.h"
#include "models/tokenizers/dvae.h"
#include "models/tokenizers/tokenizer_kinds.h"
#include "models/tokenizers/vqkd.h"
#include "models/tokenizers/vqvae.h"
#include "models/weights/checkpoint.h"
#include "models/weights/weights.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using Maker = std::shared_ptr<Tokenizer> (*)(const json& options, const std::string& place);

template <class Kind>
std::shared_ptr<Tokenizer> make(const json& options, const std::string& place) {
  return std::make_shared<Kind>(options_from_json<typename Kind::Options>(options, place));
}

template <class... Kinds>
std::map<std::string, Maker> makers() {
  return {{Kinds::kKind, make<Kinds>}...};
}

struct WeightsFile {
  NamedTensors tensors;
  std::map<std::string, std::string> header;
  std::string place;
};

WeightsFile read(const std::string& path) {
  require(fs::exists(path), "{}: no such file or folder; give a run of train_tokenizer", path);
  if (!fs::is_directory(path)) {
    auto file = read_safetensors(path);
    return {std::move(file.tensors), std::move(file.metadata), path};
  }
  std::vector<std::string> warnings;
  Checkpoint saved = load_checkpoint_or_latest(path, warnings, CheckpointPart::backbone);
  for (const auto& warning : warnings) log_warning(warning);
  return {std::move(saved.backbone), std::move(saved.backbone_metadata), path};
}

std::shared_ptr<Tokenizer> build(const WeightsFile& file) {
  const auto kind = file.header.find("tokenizer");
  require(kind != file.header.end(),
          "{}: is no image tokenizer{}; train one with train_tokenizer",
          file.place,
          file.header.contains("arch") ? " but a backbone" : "");
  static const std::map<std::string, Maker> known = makers<Dvae, Vqvae, Vqkd>();
  const auto maker = known.find(kind->second);
  require(maker != known.end(),
          "{}: a tokenizer of kind {}, written by a newer version of PreViT",
          file.place,
          kind->second);
  const auto text = file.header.find("tokenizer_options");
  const json options = text == file.header.end() ? json() : json_or_discarded(text->second);
  require(options.is_object(), "{}: header without tokenizer_options", file.place);
  return maker->second(options, file.place + ": tokenizer_options");
}

}  // namespace

std::shared_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  const WeightsFile file = read(path);
  auto tokenizer = build(file);
  const LoadReport report = load_into(*tokenizer, file.tensors);
  require(report.missing.empty() && report.unexpected.empty(),
          "{}: {} does not belong to its tokenizer, or is missing",
          file.place,
          fmt::join(report.missing.empty() ? report.unexpected : report.missing, ", "));
  tokenizer->eval();
  for (auto& parameter : tokenizer->parameters()) parameter.set_requires_grad(false);
  return tokenizer;
}

}  // namespace previt
