#include "commands/convert.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/from_option.h"
#include "cli/main.h"
#include "commands/model_folder.h"
#include "commands/onnx_model.h"
#include "commands/outgoing_model.h"
#include "first_few.h"
#include "json_text.h"
#include "log.h"
#include "models/weights/weight_format.h"
#include "options.h"
#include "unfinished_folder.h"

namespace previt::cli {
namespace {

enum class Target { hf, timm, official, onnx };
constexpr auto enum_names(Target) { return std::array{"hf", "timm", "official", "onnx"}; }

const WeightFormat& format_of_target(Target target, const LoadedModel& model) {
  if (target == Target::official) return official_format(model);
  return format_named(target == Target::hf ? "hugging_face" : "timm");
}

}  // namespace

po::options_description convert_options() {
  po::options_description options("Options");
  add_from_option(
      options,
      "checkpoint: a run folder, a checkpoint folder, .safetensors, a Hugging Face or timm "
      "folder, an official .pth");
  add_model_option(options);
  auto add = options.add_options();
  add("format",
      po::value<std::string>()->required(),
      "hf (a folder of transformers: its ViT, DeiT, ViTMAE, BEiT or DINOv2), timm (local-dir:) or "
      "official (checkpoint.pth, as the authors of the method store it) or onnx (model.onnx for "
      "ONNX Runtime, OpenCV and others)");
  add("to", po::value<std::string>()->required(), "new folder: weights, config.json, README.md");
  add("backbone", "the backbone alone, without classes, decoder and heads");
  add_onnx_options(options);
  return options;
}

int convert(const po::variables_map& args) {
  const auto target = enum_named<Target>(args["format"].as<std::string>(), "--format");
  if (target == Target::onnx) return convert_to_onnx(args);
  refuse_onnx_options(args);
  const auto to = args["to"].as<std::string>();
  UnfinishedFolder folder(to);
  const auto choose = [&](const LoadedModel& model) -> const WeightFormat& {
    return format_of_target(target, model);
  };
  const LoadHints hints{.whole = target == Target::official};
  const OutgoingModel out = outgoing_model(load_frozen(args, OtherKeys::wrong, hints),
                                           args["from"].as<std::string>(),
                                           choose,
                                           args.count("backbone") > 0);
  const ForeignModel files = write_model_files(folder.path(), out);
  folder.finish();
  if (!out.left_out.empty()) {
    info("{}: {} has no place for {}", out.model.source, name_of(target), first_few(out.left_out));
  }
  const nlohmann::ordered_json line = {{"format", name_of(target)},
                                       {"tensors", files.state_dict().size()},
                                       {"left_out", out.left_out.size()},
                                       {"out", to}};
  print(json_text(line) + "\n");
  return 0;
}

}  // namespace previt::cli
