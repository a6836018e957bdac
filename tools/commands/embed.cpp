#include "commands/embed.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "augment/encode_png.h"
#include "augment/io/tensor_file.h"
#include "cli/backbone.h"
#include "cli/frames.h"
#include "cli/launch.h"
#include "cli/main.h"
#include "clocks.h"
#include "error.h"
#include "failure.h"
#include "files.h"
#include "finetune/pictures/heat_map.h"
#include "finetune/pictures/pca.h"
#include "json_text.h"
#include "log.h"
#include "models/kernels/precision.h"
#include "models/weights/finite.h"
#include "pretrain/pictures/contact_sheet.h"
#include "progress.h"

namespace previt::cli {
namespace {

constexpr int64_t kMostPatchPictures = 64;  // images whose patches share one PCA
constexpr int64_t kSheetPictures = 8;
constexpr int64_t kPictureSide = 224;

struct EmbedJob {
  std::string images, out, plot, patch_pca;
  Split split = Split::all;
  FeatureOptions features;

  static EmbedJob read(const po::variables_map& args) {
    const auto word = [&](const char* name) {
      return args.count(name) > 0 ? args[name].as<std::string>() : std::string();
    };
    EmbedJob job{.images = word("images"),
                 .out = word("out"),
                 .plot = word("plot"),
                 .patch_pca = word("patch-pca"),
                 .split = enum_named<Split>(word("split"), "--split"),
                 .features = {.tokens = enum_named<FeatureTokens>(word("features"), "--features")}};
    if (!job.plot.empty() && !job.plot.ends_with(".svg")) {
      fail_usage("--plot: {} must end in .svg", job.plot);
    }
    if (!job.plot.empty() && job.features.tokens == FeatureTokens::patches) {
      fail_usage("--plot: needs one feature an image, not patches; see --patch-pca");
    }
    return job;
  }
};

// The samples of this rank's batches, int64: every W-th batch of the whole dataset.
at::Tensor own_samples(int64_t samples, int64_t batch) {
  const at::Tensor all = torch::arange(samples, torch::kInt64);
  return all.masked_select(all.div(batch, "floor").remainder(world().size()) == world().rank());
}

// A batch of features, and which samples of the whole dataset they are of.
struct Embedded {
  at::Tensor values, labels, samples;
};

// `first`: the place of the batch's first image. Rows in the place of an unreadable image are left
// out: these images have a place of their own.
Embedded embed_batch(const EmbedJob& job,
                     const Backbone& backbone,
                     const Batch& batch,
                     int64_t first,
                     const at::Tensor& samples) {
  const at::Tensor places = torch::arange(first, first + batch.indices.size(0), torch::kInt64);
  const at::Tensor rows = (batch.indices == places).nonzero().squeeze(1);
  const at::Tensor images =
      normalize(batch.views.at(0), backbone.loaded.normalize, backbone.device());
  const at::Tensor values =
      features_of(*backbone.vit, images, job.features).cpu().index_select(0, rows);
  require_finite({{"a feature", values}}, backbone.loaded.source);
  return {values,
          batch.labels.index_select(0, rows),
          samples.index_select(0, places.index_select(0, rows))};
}

// The ranks make batches in turn, of which each call gives the next of every rank, in order.
class EmbeddedBatches {
 public:
  EmbeddedBatches(const EmbedJob& job,
                  const Backbone& backbone,
                  const std::shared_ptr<Dataset>& dataset)
      : job_(job), backbone_(backbone), samples_(own_samples(dataset->size(), backbone.batch)) {
    if (samples_.numel() == 0) return;
    const auto* first = samples_.const_data_ptr<int64_t>();
    source_ = backbone.source(select(dataset, {first, first + samples_.numel()}));
  }

  Embedded next() {
    Embedded own;
    do_on_all_ranks([&] {
      const bool more = made_ < samples_.numel();
      own = more ? embed_batch(job_, backbone_, source_->next(), made_, samples_) : none();
      made_ += backbone_.batch;
    });
    return {world().gather(own.values), world().gather(own.labels), world().gather(own.samples)};
  }

 private:
  Embedded none() const {
    const Features no = no_features(backbone_, job_.features);
    return {no.values, no.labels, no.indices};
  }

  const EmbedJob& job_;
  const Backbone& backbone_;
  at::Tensor samples_;
  std::unique_ptr<BatchSource> source_;  // null where this rank has no images
  int64_t made_ = 0;
};

// What was written to the file, batch by batch. Only for a plot do the features stay in memory.
struct Written {
  int64_t images = 0, width = 0;
  std::vector<at::Tensor> values, labels;
};

Written write_features(const EmbedJob& job,
                       const Backbone& backbone,
                       const std::shared_ptr<Dataset>& dataset) {
  const torch::NoGradGuard no_grad;
  const ComputeTypeGuard compute(backbone.type);
  EmbeddedBatches batches(job, backbone, dataset);
  std::optional<TensorFileWriter> file;
  if (world().leads()) file.emplace(job.out);
  Written written;
  std::vector<std::string> names;
  Progress progress;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t seen = 0; seen < dataset->size(); seen += backbone.batch * world().size()) {
    const auto [values, labels, samples] = batches.next();
    if (!file || values.size(0) == 0) continue;
    // As one process appends, so that the file is the same.
    for (const auto& part : values.split(backbone.batch)) file->append("features", part);
    for (const auto& part : labels.split(backbone.batch)) file->append("labels", part);
    for (int64_t row = 0; row < samples.size(0); ++row) {
      names.push_back(dataset->name(samples[row].item<int64_t>()));
    }
    if (!job.plot.empty()) written.values.push_back(values);
    written.labels.push_back(labels);
    written.images += values.size(0);
    written.width = values.size(-1);
    progress.update(
        {.step = written.images,
         .total_steps = dataset->size(),
         .images_per_second = static_cast<double>(written.images) / seconds_since(start),
         .task = "features"});
  }
  if (!file) return written;
  require(written.images > 0, "{}: no image could be read", job.images);
  file->write_texts("names", names);
  file->write_texts("class_names", dataset->class_names());
  file->describe("model", backbone.loaded.source);
  file->describe("features", name_of(job.features.tokens));
  file->finish();
  return written;
}

void write_plot(const EmbedJob& job, const Written& written, const Dataset& dataset) {
  const at::Tensor values = torch::cat(written.values);
  require(values.size(0) >= 2, "--plot: needs two images or more");
  const Pca pca = fit_pca(values, 2);
  const std::string title = fmt::format(
      "{} images, {} features: first two principal components ({:.0f} % and {:.0f} % "
      "of the variance)",
      values.size(0),
      name_of(job.features.tokens),
      100 * pca.explained[0].item<double>(),
      100 * pca.explained[1].item<double>());
  write_whole_file(
      job.plot,
      scatter_svg(pca.project(values), torch::cat(written.labels), dataset.class_names(), title));
}

// Writes pictures of the first images beside their patches' colours, all of one PCA and size.
void write_patch_pca(const EmbedJob& job,
                     const Backbone& backbone,
                     const std::shared_ptr<Dataset>& dataset) {
  const torch::NoGradGuard no_grad;
  make_folder(job.patch_pca);
  std::vector<int64_t> first(static_cast<size_t>(std::min(dataset->size(), kMostPatchPictures)));
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<int64_t>(i);
  const auto some = select(dataset, first);
  const auto source = backbone.source(some);
  const Features features = extract_features(*backbone.vit,
                                             *source,
                                             {.tokens = FeatureTokens::patches},
                                             backbone.reading("patch features"));
  const int64_t patch = backbone.vit->options().patch_size;
  const at::Tensor colors = patch_colors(features.values.view({features.values.size(0),
                                                               backbone.height / patch,
                                                               backbone.width / patch,
                                                               features.values.size(2)}));
  source->seek(0, 0);
  std::vector<at::Tensor> pictures, painted;
  at::Tensor seen = torch::zeros({some->size()}, torch::kBool);
  for (int64_t i = 0; i < source->batches_per_epoch(); ++i) {
    const Batch batch = source->next();
    const at::Tensor rows = first_seen_rows(batch.indices, seen);
    for (int64_t row = 0; row < rows.size(0); ++row) {
      const auto at = static_cast<int64_t>(pictures.size());
      const auto slot = rows[row].item<int64_t>();
      const at::Tensor pixels = batch.views.at(0)[slot].to(torch::kFloat32).div(255);
      pictures.push_back(thumbnail(pixels, kPictureSide));
      painted.push_back(
          torch::upsample_nearest2d(colors[at].unsqueeze(0), {kPictureSide, kPictureSide})[0]);
      write_whole_file(
          fmt::format("{}/{}.png",
                      job.patch_pca,
                      picture_name(at, some->name(batch.indices[slot].item<int64_t>()))),
          encode_png(to_pixels(torch::cat({pictures.back(), painted.back()}, 2))));
    }
  }
  const auto count = std::min<size_t>(pictures.size(), kSheetPictures);
  pictures.resize(count);
  painted.resize(count);
  const ContactSheet sheet{
      .columns = {{"image", torch::stack(pictures)}, {"patches", torch::stack(painted)}},
      .note = "alike patches have alike colours"};
  write_whole_file(job.patch_pca + "/contact_sheet.png", encode_png(sheet.draw()));
}

}  // namespace

po::options_description embed_options() {
  po::options_description options("Options");
  add_backbone_options(options);
  add_reading_option(options);
  auto add = options.add_options();
  add("images",
      po::value<std::string>()->required(),
      "an image, a folder of images, .h5 pack, CIFAR-10 folder or synthetic:SPEC");
  add("out", po::value<std::string>()->required(), "HDF5 file: features, names, labels");
  add("split", po::value<std::string>()->default_value("all"), "train, val or all");
  add("features",
      po::value<std::string>()->default_value("pooled"),
      "pooled (as the model itself pools), cls, mean, cls+mean, or patches (every patch token)");
  add("plot",
      po::value<std::string>(),
      "SVG picture of the features' first two principal components, coloured by class folder");
  add("patch-pca",
      po::value<std::string>(),
      "folder for pictures of the first images in which alike patches have alike colours");
  add_nproc_option(options);
  return options;
}

int embed(const po::variables_map& args) {
  const EmbedJob job = EmbedJob::read(args);
  const ReadingOptions reading = read_reading_option(args);
  Backbone backbone = load_backbone(args, OtherKeys::own);
  backbone.data = reading;
  const auto dataset = open_pictures(job.images, job.split);
  const Written written = write_features(job, backbone, dataset);
  if (!world().leads()) return 0;
  if (!job.plot.empty()) write_plot(job, written, *dataset);
  if (!job.patch_pca.empty()) write_patch_pca(job, backbone, dataset);
  nlohmann::ordered_json line = {{"images", written.images},
                                 {"width", written.width},
                                 {"features", name_of(job.features.tokens)},
                                 {"out", job.out}};
  const int64_t unreadable = dataset->size() - written.images;
  if (unreadable > 0) line["unreadable"] = unreadable;
  print(json_text(line) + "\n");
  return 0;
}

}  // namespace previt::cli
