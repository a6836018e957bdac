#include "cli/backbone.h"

#include <torch/utils.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "augment/loader.h"
#include "cli/device.h"
#include "cli/main.h"
#include "cli/own_batches.h"
#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "json_text.h"
#include "log.h"
#include "models/weights/finite.h"
#include "pretrain/train/precision_choice.h"
#include "recipe.h"

namespace previt::cli {
namespace {

int64_t positive(const po::variables_map& args, const char* name) {
  const auto value = args[name].as<int64_t>();
  if (value < 1) fail_usage("--{}: {} is not in [1, inf)", name, value);
  return value;
}

std::shared_ptr<Vit> build(const po::variables_map& args, LoadedModel& loaded) {
  VitOptions options = loaded.options;
  if (args.count("heads") > 0) options.num_heads = positive(args, "heads");
  require_heads(options, loaded);
  if (args.count("untrained") == 0) {
    require_same_architecture(options, loaded);
    return frozen_vit(loaded, options);
  }
  // The same random weights each time, so that comparisons repeat.
  torch::manual_seed(0);
  options.num_classes = 0;
  return std::make_shared<Vit>(options);
}

}  // namespace

void add_backbone_options(po::options_description& options) {
  const auto number = [](int64_t value) { return po::value<int64_t>()->default_value(value); };
  add_from_option(
      options,
      "checkpoint: a run folder, a checkpoint folder, .safetensors, a Hugging Face or timm "
      "folder, an official .pth");
  auto add = options.add_options();
  add("untrained", "random weights instead of the checkpoint's: what to compare with");
  add("image-size", po::value<int64_t>(), "pixels a side; the model's own when not given");
  add("heads", po::value<int64_t>(), "attention heads, as --set model.num_heads");
  add("precision", po::value<std::string>()->default_value("fp32"), "fp32, bf16 or auto");
  add("batch", number(32), "images at a time");
  add("workers", number(0), "decoding threads; 0: one per core");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
}

void add_labelled_data_option(po::options_description& options) {
  options.add_options()("data",
                        po::value<std::string>()->required(),
                        "labelled images: class folders with train/ and val/, .h5 pack, CIFAR-10 "
                        "folder or synthetic:SPEC");
}

void visit(FieldVisitor& v, ReadingOptions& o) {
  v.field("max_bad_fraction",
          o.max_bad_fraction,
          "share of unreadable images that is an error",
          between(0, 1));
}

void add_reading_option(po::options_description& options) {
  options.add_options()("set",
                        po::value<std::vector<std::string>>()->composing(),
                        "model.KEY=VALUE that the weights don't tell, as model.num_heads=6, "
                        "normalize.mean=[R,G,B] and normalize.std=[R,G,B], or "
                        "data.max_bad_fraction=0.1: share of unreadable images that is an error; "
                        "may be given again");
}

ReadingOptions read_reading_option(const po::variables_map& args) {
  ReadingOptions options;
  Recipe recipe = Recipe::parse("", "--set");
  apply_settings(recipe, args, std::not_fn(is_model_key));
  recipe.read("data", options);
  recipe.require_all_read();
  return options;
}

Backbone load_backbone(const po::variables_map& args, OtherKeys others) {
  Backbone backbone;
  backbone.batch = positive(args, "batch");
  backbone.workers = args["workers"].as<int64_t>();
  const auto precision = enum_named<Precision>(args["precision"].as<std::string>(), "--precision");
  const at::Device device = choose_device(args["device"].as<std::string>());

  backbone.loaded = load_frozen(args, others, {.backbone_only = true});
  backbone.vit = build(args, backbone.loaded);
  backbone.vit->to(device);
  backbone.vit->eval();

  const VitOptions& model = backbone.vit->options();
  backbone.height = model.image_height();
  backbone.width = model.image_width();
  if (args.count("image-size") > 0) {
    backbone.height = backbone.width = positive(args, "image-size");
  }
  // Each rank measures, and all take what rank 0 chose.
  const Precision decided = decided_precision(precision, model, backbone.batch, device);
  const std::string chosen = world().broadcast(std::string(name_of(decided)));
  backbone.type = scalar_type(enum_named<Precision>(chosen, "--precision"));
  return backbone;
}

at::Device Backbone::device() const { return vit->parameters().front().device(); }

ViewSpec Backbone::view() const {
  const int64_t patch = vit->options().patch_size;
  if (height % patch != 0) {
    fail_usage("--image-size: {} is no multiple of the patch, {}", height, patch);
  }
  return evaluation_view(height, width, evaluation_crop(loaded, height));
}

std::unique_ptr<BatchSource> Backbone::source(std::shared_ptr<Dataset> dataset) const {
  return make_loader(std::move(dataset),
                     {view()},
                     {.batch = batch,
                      .shuffle = false,
                      .drop_last = false,
                      .workers = workers,
                      .max_bad_fraction = data.max_bad_fraction},
                     log_warning);
}

FeatureReading Backbone::reading(const std::string& task) const {
  return {.normalize = loaded.normalize, .type = type, .task = task};
}

Features no_features(const Backbone& backbone, const FeatureOptions& options) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = backbone.vit->options().in_channels;
  const at::Tensor image = torch::zeros({1, channels, backbone.height, backbone.width},
                                        backbone.vit->parameters().front().options());
  return {.values = features_of(*backbone.vit, image, options).cpu().narrow(0, 0, 0),
          .labels = torch::empty({0}, torch::kInt64),
          .indices = torch::empty({0}, torch::kInt64)};
}

LabelledFeatures labelled_features(const Backbone& backbone,
                                   const FeatureOptions& options,
                                   const std::shared_ptr<Dataset>& dataset,
                                   const std::string& task) {
  OwnBatches batches(dataset, backbone.batch, [&](std::shared_ptr<Dataset> part) {
    return backbone.source(std::move(part));
  });
  Features own;
  batches.go_through([&](BatchSource& source) {
    own = extract_features(*backbone.vit, source, options, backbone.reading(task));
  });
  if (!own.values.defined()) own = no_features(backbone, options);
  const at::Tensor values = world().gather(own.values), labels = world().gather(own.labels);
  require_finite({{"a feature", values}}, backbone.loaded.source);
  return {values, labels};
}

void write_result(const std::string& out, const nlohmann::ordered_json& result) {
  if (!world().leads()) return;
  const std::string line = json_text(result) + "\n";
  if (out.empty()) return print(line);
  // The work is done; what can't be written in one place must not be lost in the other.
  try {
    make_folder(out);
    write_whole_file(out + "/result.json", line);
  } catch (const Error&) {
    print(line);
    throw;
  }
  try {
    print(line);
  } catch (const Error& e) {
    warn("{}; the result is in {}/result.json", e.what(), out);
  }
}

void write_result(const po::variables_map& args, const nlohmann::ordered_json& result) {
  write_result(args.count("out") > 0 ? args["out"].as<std::string>() : "", result);
}

}  // namespace previt::cli
