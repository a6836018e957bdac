#include "cli/labelled_data.h"

#include <algorithm>

#include "augment/open_dataset.h"
#include "error.h"
#include "finetune/split.h"
#include "log.h"

namespace previt::cli {
namespace {

// The validation split, or nothing where the data isn't divided. One that is there and can't be
// read is an error: results on images held out instead would be taken for results on it.
std::shared_ptr<Dataset> open_validation(const std::string& path, const std::string& cache_folder) {
  const auto splits = dataset_splits(path);
  const bool divided = std::find(splits.begin(), splits.end(), "val") != splits.end();
  return divided ? open_dataset(path, "val", cache_folder) : nullptr;
}

void hold_out(LabelledData& data, const std::string& path, const SplitOptions& options) {
  Split split = stratified_split(labels_of(*data.train, path), options.holdout, options.seed);
  require(!split.held_out.empty(),
          "{}: no validation split, and too few images of each class to hold some out",
          path);
  data.val = select(data.train, std::move(split.held_out));
  data.train = select(data.train, std::move(split.train));
  data.held_out = true;
}

}  // namespace

std::vector<int64_t> labels_of(const Dataset& dataset, const std::string& path) {
  std::vector<int64_t> labels(static_cast<size_t>(dataset.size()));
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = dataset.label(static_cast<int64_t>(i));
    require(labels[i] >= 0,
            "{}: {} has no label; images to classify lie in a folder for each class",
            path,
            dataset.name(static_cast<int64_t>(i)));
  }
  return labels;
}

LabelledData open_labelled(const std::string& path,
                           const SplitOptions& options,
                           const std::string& cache_folder) {
  LabelledData data{.train = open_dataset(path, "train", cache_folder),
                    .val = open_validation(path, cache_folder)};
  labels_of(*data.train, path);
  if (data.val == nullptr) {
    hold_out(data, path, options);
  } else {
    labels_of(*data.val, path);
    require(data.val->class_names() == data.train->class_names(),
            "{}: training and validation split have different classes",
            path);
  }
  if (options.per_class > 0)
    data.train = subset(data.train, options.per_class, options.subset_seed);
  return data;
}

std::shared_ptr<Dataset> open_evaluated(const std::string& path, const std::string& cache_folder) {
  auto images = open_validation(path, cache_folder);
  const bool divided = images != nullptr;
  if (!divided) images = open_dataset(path, "all", cache_folder);
  labels_of(*images, path);
  info("{}: evaluated on {} {} images",
       path,
       divided ? "the validation split's" : "all",
       images->size());
  return images;
}

}  // namespace previt::cli
