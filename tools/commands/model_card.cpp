#include "commands/model_card.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "first_few.h"
#include "utf8.h"

namespace previt::cli {
namespace {

constexpr int64_t kMostNames = 20;

struct Loading {
  std::string library, architecture, code;
};

Loading transformers_loading(const nlohmann::json& config) {
  const auto made = config.at("architectures").at(0).get<std::string>();
  return {.library = "transformers",
          .architecture = made,
          .code = fmt::format("from PIL import Image\n"
                              "from transformers import AutoImageProcessor, {0}\n"
                              "\n"
                              "processor = AutoImageProcessor.from_pretrained(folder)\n"
                              "model = {0}.from_pretrained(folder)\n"
                              "output = model(**processor(Image.open(path), "
                              "return_tensors=\"pt\"))\n",
                              made)};
}

Loading timm_loading(const nlohmann::json& config) {
  return {.library = "timm",
          .architecture =
              config.at("architecture").get<std::string>() + ", with the sizes in config.json",
          .code =
              "import timm\n"
              "from PIL import Image\n"
              "\n"
              "model = timm.create_model(f\"local-dir:{folder}\", pretrained=True).eval()\n"
              "view = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n"
              "output = model(view(Image.open(path)).unsqueeze(0))\n"};
}

Loading onnx_loading(const nlohmann::json& config) {
  return {.library = "onnx",
          .architecture = fmt::format("ONNX, opset {}; model.json says what its input is",
                                      config.at("opset").get<int64_t>()),
          .code =
              "import onnxruntime\n"
              "\n"
              "session = onnxruntime.InferenceSession(f\"{folder}/model.onnx\")\n"
              "outputs = session.run(None, {\"pixels\": pixels})  # float32 [N, C, H, W]\n"};
}

Loading official_loading(const OutgoingModel& out, const ForeignModel& files) {
  const std::string dict = files.key.empty() ? "file" : fmt::format("file[\"{}\"]", files.key);
  return {.library = "pytorch",
          .architecture = fmt::format("as {} stores it", out.format->code_base()),
          .code = fmt::format("import torch\n"
                              "\n"
                              "file = torch.load(f\"{{folder}}/{}\", weights_only=True)\n"
                              "model.load_state_dict({})\n",
                              kTorchFile,
                              dict)};
}

Loading loading_of(const OutgoingModel& out, const ForeignModel& files) {
  if (files.pickled) return official_loading(out, files);
  if (files.config.contains("opset")) return onnx_loading(files.config);
  return files.config.contains("architectures") ? transformers_loading(files.config)
                                                : timm_loading(files.config);
}

std::string classes(const LoadedModel& model) {
  const int64_t count = model.options.num_classes;
  std::string text = std::to_string(count);
  const auto named = std::min<int64_t>(std::ssize(model.class_names), kMostNames);
  for (int64_t i = 0; i < named; ++i) {
    text += (i == 0 ? ": " : ", ") + on_one_line(model.class_names[static_cast<size_t>(i)]);
  }
  return named > 0 && named < count ? text + " …" : text;
}

std::string made_by(const OutgoingModel& out) {
  const std::string name = std::filesystem::path(out.model.source).filename().string();
  if (out.method.empty()) return fmt::format("not known; read from {}", on_one_line(name));
  std::string text = "PreViT, " + out.method;
  if (out.epochs > 0) text += fmt::format("; epochs: {}", out.epochs);
  if (out.images > 0) text += fmt::format("; images: {}", out.images);
  return text;
}

int64_t parameters(const ForeignModel& files) {
  int64_t count = 0;
  for (const auto& [name, tensor] : files.state_dict()) count += tensor.numel();
  return count;
}

}  // namespace

std::string model_card(const OutgoingModel& out, const ForeignModel& files) {
  const LoadedModel& model = out.model;
  const VitOptions& o = model.options;
  const Loading loading = loading_of(out, files);
  std::string rows;
  const auto row = [&](const char* what, const std::string& text) {
    rows += fmt::format("| {} | {} |\n", what, text);
  };
  row("architecture", loading.architecture);
  row("numbers in it", std::to_string(parameters(files)));
  row("input",
      fmt::format("{} × {} × {}, patches of {}",
                  o.in_channels,
                  o.image_height(),
                  o.image_width(),
                  o.patch_size));
  row("mean, standard deviation",
      fmt::format(
          "{}, {}", fmt::join(model.normalize.mean, " "), fmt::join(model.normalize.std, " ")));
  if (o.num_classes > 0) row("classes", classes(model));
  row("trained by", made_by(out));
  if (!out.checkpoint.empty()) row("checkpoint", on_one_line(out.checkpoint));
  for (const auto& [name, score] : out.scores) row(name.c_str(), fmt::format("{:.4g}", score));
  row("written by", "PreViT " PREVIT_VERSION);
  row("licence", out.license.empty() ? "not known: the source doesn't say" : out.license);
  if (!out.left_out.empty()) {
    row("left out", first_few(out.left_out));
  }
  return fmt::format(
      "---\n"
      "library_name: {}\n"
      "license: {}\n"
      "tags:\n"
      "- {}\n"
      "---\n\n"
      "# A Vision Transformer: {} blocks, {} wide\n\n"
      "| | |\n|---|---|\n{}\n"
      "```python\n{}```\n",
      loading.library,
      out.license.empty() ? "unknown" : out.license,
      o.num_classes > 0 ? "image-classification" : "image-feature-extraction",
      o.depth,
      o.embed_dim,
      rows,
      loading.code);
}

}  // namespace previt::cli
