#include "commands/predict.h"

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "augment/sample_renderer.h"
#include "cli/device.h"
#include "cli/frames.h"
#include "cli/from_option.h"
#include "error.h"
#include "finetune/class_match.h"
#include "finetune/csv.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "log.h"
#include "models/weights/finite.h"
#include "unfinished_file.h"

namespace previt::cli {
namespace {

constexpr int64_t kBatch = 32;

struct Classified {
  LoadedModel loaded;
  std::shared_ptr<Vit> vit;
};

Classified load_classifier(const po::variables_map& args, at::Device device) {
  LoadedModel loaded = load_frozen(args, OtherKeys::wrong, {.backbone_only = true});
  const auto from = args["from"].as<std::string>();
  require(!loaded.extra.contains("head.weight"),
          "{}: its classifier takes more than our network pools (DINOv2's, the class token and the "
          "mean); fine-tune it, which makes a new one",
          from);
  require(loaded.options.num_classes > 0, "{}: has no classes; fine-tune it first", from);
  if (only_numbered(loaded.class_names, loaded.options.num_classes)) {
    info("{}: its classes have no names; the column `class` holds their numbers", from);
    if (std::ssize(loaded.class_names) != loaded.options.num_classes) loaded.class_names.clear();
  }
  require_heads(loaded.options, loaded);
  auto vit = frozen_vit(loaded, loaded.options);
  vit->to(device);
  vit->eval();
  return {std::move(loaded), std::move(vit)};
}

// A batch of views, and for each image the reason why it can't be read; "" where it can.
struct Views {
  at::Tensor pixels;  ///< uint8 [B, 3, H, W]
  std::vector<std::string> errors;
};

Views render(const Dataset& dataset,
             const std::vector<ViewSpec>& specs,
             int64_t first,
             int64_t count) {
  const ViewSpec& view = specs.front();
  Views views{.pixels = torch::zeros({count, 3, view.height, view.width}, torch::kUInt8)
                            .contiguous(at::MemoryFormat::ChannelsLast),
              .errors = std::vector<std::string>(static_cast<size_t>(count))};
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    SampleRenderer renderer(dataset, specs);
    Random unused(0);
    for (int64_t i = begin; i < end; ++i) {
      renderer.render(first + i, unused, {views.pixels}, i, views.errors[static_cast<size_t>(i)]);
    }
  });
  return views;
}

// Writes the `top` likeliest classes of one image, likeliest first.
void write_answers(std::ostream& out,
                   const std::string& path,
                   const at::Tensor& probabilities,
                   int64_t top,
                   const std::vector<std::string>& class_names) {
  const auto [values, classes] = probabilities.topk(std::min(top, probabilities.size(0)));
  for (int64_t i = 0; i < values.size(0); ++i) {
    const auto index = classes[i].item<int64_t>();
    const std::string name = index < static_cast<int64_t>(class_names.size())
                                 ? class_names[static_cast<size_t>(index)]
                                 : std::to_string(index);
    out << fmt::format(
        "{},{},{:.6f},\n", csv_field(path), csv_field(name), values[i].item<double>());
  }
}

// Returns how many images could be read.
int64_t classify(const Classified& model,
                 const Dataset& dataset,
                 int64_t top,
                 std::ostream& out,
                 const std::string& out_name) {
  const torch::NoGradGuard no_grad;
  const VitOptions& options = model.vit->options();
  const int64_t height = options.image_height();
  const std::vector<ViewSpec> specs{
      evaluation_view(height, options.image_width(), evaluation_crop(model.loaded, height))};
  const at::Device device = model.vit->parameters().front().device();
  int64_t readable = 0;
  out << "path,class,probability,error\n";
  for (int64_t first = 0; first < dataset.size(); first += kBatch) {
    const int64_t count = std::min(kBatch, dataset.size() - first);
    const Views views = render(dataset, specs, first, count);
    const at::Tensor probabilities =
        model.vit->forward(normalize(views.pixels, model.loaded.normalize, device))
            .softmax(1)
            .cpu();
    require_finite({{"a probability", probabilities}}, model.loaded.source);
    // A write that fails leaves its reason in errno.
    errno = 0;
    for (int64_t i = 0; i < count; ++i) {
      const std::string path = dataset.name(first + i);
      const std::string& error = views.errors[static_cast<size_t>(i)];
      if (error.empty()) {
        write_answers(out, path, probabilities[i], top, model.loaded.class_names);
        ++readable;
      } else {
        out << fmt::format("{},,,{}\n", csv_field(path), csv_field(error));
        warn("{}: {}", path, error);
      }
    }
    out.flush();
    require_system(out.good(), out_name);
  }
  return readable;
}

}  // namespace

po::options_description predict_options() {
  po::options_description options("Options");
  add_from_option(options, "checkpoint with a classifier");
  add_model_option(options);
  auto add = options.add_options();
  add("images",
      po::value<std::string>()->required(),
      "an image, a folder of images, .h5 pack or synthetic:SPEC");
  add("out", po::value<std::string>(), "CSV file (default: standard output)");
  add("top", po::value<int64_t>()->default_value(1), "classes per image, likeliest first");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  return options;
}

int predict(const po::variables_map& args, std::ostream& standard_output) {
  const auto images = args["images"].as<std::string>();
  const auto top = args["top"].as<int64_t>();
  if (top < 1) fail_usage("--top: {} is not at least 1", top);
  const Classified model = load_classifier(args, choose_device(args["device"].as<std::string>()));
  const auto dataset = open_pictures(images, Split::all);

  std::string name = "stdout";
  std::ofstream file;
  std::optional<UnfinishedFile> unfinished;
  if (args.count("out") > 0) {
    name = args["out"].as<std::string>();
    unfinished.emplace(name);
    file.open(unfinished->path());
    require_system(file.good(), name);
  }
  std::ostream& out = file.is_open() ? file : standard_output;
  const int64_t readable = classify(model, *dataset, top, out, name);
  if (unfinished) unfinished->finish();
  require(readable > 0, "{}: none of {} images can be read", images, dataset->size());
  return 0;
}

}  // namespace previt::cli
