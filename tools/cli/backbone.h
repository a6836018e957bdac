#pragma once

#include <c10/core/ScalarType.h>

#include <boost/program_options.hpp>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "augment/dataset/dataset.h"
#include "cli/from_option.h"
#include "finetune/probes/features.h"
#include "finetune/probes/knn.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "options.h"

namespace previt::cli {

namespace po = boost::program_options;

/// Adds the options of every tool that looks at a frozen backbone: --from, and how it is run.
void add_backbone_options(po::options_description& options);

/// --data: images with labels, to train on and to test on.
void add_labelled_data_option(po::options_description& options);

/// The keys of a recipe's `data:` that every image-reading tool takes.
struct ReadingOptions {
  double max_bad_fraction = 0.1;  ///< share of unreadable images that is an error
};
void visit(FieldVisitor& v, ReadingOptions& o);

/// Adds --set for tools without other settings: the model's keys (add_model_option) and
/// data.max_bad_fraction, as training takes it.
void add_reading_option(po::options_description& options);
/// Reads the data.… keys of --set and ignores the model's. Throws UsageError for other keys.
ReadingOptions read_reading_option(const po::variables_map& args);

/// A network to be judged, in eval mode on its device.
struct Backbone {
  LoadedModel loaded;
  std::shared_ptr<Vit> vit;
  at::ScalarType type = at::kFloat;  ///< in which it computes
  int64_t height = 0, width = 0;     ///< of the images that it is given, in pixels
  int64_t batch = 32, workers = 0;
  ReadingOptions data = {};

  at::Device device() const;
  /// Resize of the short side and centre crop, as in evaluations. Throws UsageError where the
  /// height is no multiple of the patch.
  ViewSpec view() const;
  /// All images of `dataset` once, in order, as view(); too many unreadable ones are an error.
  std::unique_ptr<BatchSource> source(std::shared_ptr<Dataset> dataset) const;
  FeatureReading reading(const std::string& task) const;
};

/// Those of no image, as a rank has them for which there are none.
Features no_features(const Backbone& backbone, const FeatureOptions& options);

/// The features that `backbone` gives to all images of `dataset`, with their classes. `task` is
/// what the progress bar shows. The ranks share the images, and all get all features, in order.
/// Throws Error where a feature is not finite.
LabelledFeatures labelled_features(const Backbone& backbone,
                                   const FeatureOptions& options,
                                   const std::shared_ptr<Dataset>& dataset,
                                   const std::string& task);

/// Loads the network that the options name. Throws Error or UsageError that begins with the wrong
/// option or file.
Backbone load_backbone(const po::variables_map& args, OtherKeys others = OtherKeys::wrong);

/// Prints `result` as one line and, unless `out` is "", writes OUT/result.json. Rank 0 alone does
/// so. Throws Error where the file can't be written, after it has printed the line. A line that
/// can't be printed is an Error where there is no file, else a warning.
void write_result(const std::string& out, const nlohmann::ordered_json& result);
/// The same for --out.
void write_result(const po::variables_map& args, const nlohmann::ordered_json& result);

}  // namespace previt::cli
