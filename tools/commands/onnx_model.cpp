#include "commands/onnx_model.h"

#include <nlohmann/json.hpp>
#include <string>

#include "cli/from_option.h"
#include "cli/main.h"
#include "commands/model_card.h"
#include "commands/outgoing_model.h"
#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "first_few.h"
#include "json_text.h"
#include "log.h"
#include "models/onnx/vit_graph.h"
#include "models/weights/weight_format.h"
#include "unfinished_folder.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kOnnxOptions[] = {
    "outputs", "image-size", "dynamic-size", "raw-pixels", "opset"};

// The size of the graph's images: the model's own, or --image-size.
VitOptions sized(const po::variables_map& args, VitOptions options) {
  if (args.count("image-size") == 0) return options;
  const auto side = args["image-size"].as<int64_t>();
  if (side < 1 || side % options.patch_size != 0) {
    fail_usage("--image-size: {} is not a multiple of the patch, {}", side, options.patch_size);
  }
  options.image_size = {side};
  return options;
}

onnx::VitGraphOptions graph_options(const po::variables_map& args, const LoadedModel& model) {
  onnx::VitGraphOptions options;
  options.normalize = model.normalize;
  options.raw_pixels = args.count("raw-pixels") > 0;
  options.dynamic_size = args.count("dynamic-size") > 0;
  options.opset = options.dynamic_size ? onnx::kNewOpset : onnx::kOldOpset;
  if (args.count("opset") > 0) options.opset = args["opset"].as<int64_t>();
  if (options.opset != onnx::kOldOpset && options.opset != onnx::kNewOpset) {
    fail_usage("--opset: {} is neither {} nor {}", options.opset, onnx::kOldOpset, onnx::kNewOpset);
  }
  if (model.options.num_classes > 0) options.outputs = onnx::Outputs::logits;
  if (args.count("outputs") > 0) {
    options.outputs = enum_named<onnx::Outputs>(args["outputs"].as<std::string>(), "--outputs");
  }
  return options;
}

// What a program must know to make the graph's input and to read its output.
ordered_json description(const OutgoingModel& out,
                         const VitOptions& sizes,
                         const onnx::VitGraphOptions& options) {
  const LoadedModel& model = out.model;
  const int64_t height = sizes.image_height(), width = sizes.image_width();
  return {{"opset", options.opset},
          {"outputs", name_of(options.outputs)},
          {"pixels", options.raw_pixels ? "0 to 255" : "normalized"},
          {"channels", sizes.in_channels == 3 ? "RGB" : "grey"},
          {"mean", model.normalize.mean},
          {"std", model.normalize.std},
          {"height", height},
          {"width", width},
          {"dynamic_size", options.dynamic_size},
          {"patch", sizes.patch_size},
          {"resize_shortest_side",
           uncropped_side(std::max(height, width), evaluation_crop(model, height))},
          {"crop", "center"},
          {"interpolation", "bicubic"},
          {"class_names", model.class_names}};
}

}  // namespace

void add_onnx_options(po::options_description& options) {
  auto add = options.add_options();
  add("outputs",
      po::value<std::string>(),
      "onnx: logits, features (cls, mean, patches) or attention (features and the last block's "
      "attention); when not given, logits if there are classes, else features");
  add("image-size", po::value<int64_t>(), "onnx: pixels a side; the model's own when not given");
  add("dynamic-size", "onnx: images of any multiple of the patch; positions are resized");
  add("raw-pixels", "onnx: takes pixels from 0 to 255 and normalises them");
  add("opset",
      po::value<int64_t>(),
      "onnx: 13 (OpenCV 4.6 and later) or 18 (has LayerNormalization, which others run faster; "
      "needed for --dynamic-size); when not given, 13 where it can be");
}

void refuse_onnx_options(const po::variables_map& args) {
  for (const char* name : kOnnxOptions) {
    if (args.count(name) > 0) fail_usage("--{}: only with --format onnx", name);
  }
}

int convert_to_onnx(const po::variables_map& args) {
  const auto to = args["to"].as<std::string>();
  UnfinishedFolder folder(to);
  OutgoingModel out = outgoing_model(load_frozen(args),
                                     args["from"].as<std::string>(),
                                     format_named("previt"),
                                     args.count("backbone") > 0);
  for (const auto& [name, tensor] : out.model.extra) out.left_out.push_back(name);
  const VitOptions sizes = sized(args, out.model.options);
  const onnx::VitGraphOptions options = graph_options(args, out.model);
  const auto vit = frozen_vit(out.model, sizes);
  onnx::Graph graph = onnx::vit_graph(*vit, options);
  const ordered_json about = description(out, sizes, options);
  for (const auto& [key, value] : about.items()) {
    graph.describe(key, value.is_string() ? value.get<std::string>() : json_text(value));
  }
  graph.write(folder.path() + "/model.onnx");
  write_whole_file(folder.path() + "/model.json", json_text(about, 2) + "\n");
  ForeignModel files;
  files.network = out.model.weights;
  files.config = about;
  write_whole_file(folder.path() + "/README.md", model_card(out, files));
  folder.finish();
  if (!out.left_out.empty()) {
    info("{}: onnx has no place for {}", out.model.source, first_few(out.left_out));
  }
  print(json_text(ordered_json{{"format", "onnx"},
                               {"opset", options.opset},
                               {"outputs", name_of(options.outputs)},
                               {"left_out", out.left_out.size()},
                               {"out", to}}) +
        "\n");
  return 0;
}

}  // namespace previt::cli
