// predict: class and probability of each image, as CSV.
#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "augment/open_dataset.h"
#include "augment/sample_renderer.h"
#include "cli/main.h"
#include "error.h"
#include "finetune/csv.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "log.h"

using namespace previt;
namespace po = boost::program_options;

namespace {

constexpr int64_t kBatch = 32;

struct Classified {
  LoadedModel loaded;
  std::shared_ptr<Vit> vit;
};

Classified load_classifier(const std::string& from) {
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(from, &warnings);
  for (const std::string& warning : warnings) log_warning(warning);
  require(loaded.options.num_classes > 0, "{}: has no classes; fine-tune it first", from);
  auto vit = vit_from_checkpoint(loaded, loaded.options, {.keep = true});
  vit->eval();
  return {std::move(loaded), std::move(vit)};
}

// A batch of views, and for each image that can't be read the reason.
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
int64_t predict(const Classified& model, const Dataset& dataset, int64_t top, std::ostream& out) {
  const torch::NoGradGuard no_grad;
  const VitOptions& options = model.vit->options();
  FinetuneOptions evaluation;
  evaluation.eval_crop_pct = model.loaded.crop_pct;
  const double crop_pct = evaluation.crop_pct(options.image_height());
  const std::vector<ViewSpec> specs{
      evaluation_view(options.image_height(), options.image_width(), crop_pct)};
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
  }
  return readable;
}

int body(const po::variables_map& args) {
  const auto from = args["from"].as<std::string>(), images = args["images"].as<std::string>();
  const auto top = args["top"].as<int64_t>();
  if (top < 1) fail_usage("--top: {} is not at least 1", top);
  Classified model = load_classifier(from);
  const auto dataset = open_dataset(images, "all");
  require(dataset->size() > 0, "{}: no images", images);

  std::ofstream file;
  if (args.count("out") > 0) {
    file.open(args["out"].as<std::string>());
    require(file.good(), "{}: can't be written", args["out"].as<std::string>());
  }
  std::ostream& out = file.is_open() ? file : std::cout;
  const int64_t readable = predict(model, *dataset, top, out);
  out.flush();
  require(out.good(),
          "{}: can't be written",
          file.is_open() ? args["out"].as<std::string>() : "stdout");
  require(readable > 0, "{}: none of {} images can be read", images, dataset->size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  po::options_description options;
  options.add_options()(
      "from", po::value<std::string>()->required(), "checkpoint with a classifier")(
      "images", po::value<std::string>()->required(), "an image, or a folder of images")(
      "out", po::value<std::string>(), "CSV file (default: standard output)")(
      "top", po::value<int64_t>()->default_value(1), "classes per image, likeliest first");
  return cli::run(
      argc, argv, "Writes the class and its probability of each image, as CSV.", options, body);
}
