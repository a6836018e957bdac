#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt::cli {

/// Labelled images for training and evaluation, with one list of classes.
struct LabelledData {
  std::shared_ptr<Dataset> train, val;
  bool held_out = false;  ///< val was cut from data that has no validation split

  std::vector<std::string> class_names() const { return train->class_names(); }
};

struct SplitOptions {
  double holdout = 0.1;      ///< of each class, where there is no validation split
  uint64_t seed = 0;         ///< of the holdout
  int64_t per_class = 0;     ///< training images per class; 0: all
  uint64_t subset_seed = 0;  ///< which ones
};

/// Opens the data (open_dataset says what `path` may be). Throws Error where it has no labels,
/// where validation has a class that training lacks, or where there is one class only.
LabelledData open_labelled(const std::string& path,
                           const SplitOptions& options,
                           const std::string& cache_folder);
/// The same for data whose training split is open already.
LabelledData with_validation(std::shared_ptr<Dataset> training,
                             const std::string& path,
                             const SplitOptions& options,
                             const std::string& cache_folder);

/// The labelled images on which a classifier is evaluated where nothing trains: the validation
/// split, or all images where the data isn't divided; one line says which.
std::shared_ptr<Dataset> open_evaluated(const std::string& path, const std::string& cache_folder);

/// The images of these names (as utf8_or_escaped), which were held out of the training images.
/// Throws Error where none is there; warns of those that aren't.
std::shared_ptr<Dataset> open_held_out(const std::string& path,
                                       const std::set<std::string>& names,
                                       const std::string& cache_folder);

/// Whether each class has images. Throws Error as labels_of.
std::vector<bool> classes_in(const Dataset& dataset, const std::string& path);

/// The class of each sample. Throws Error, led by the path, where one has none.
std::vector<int64_t> labels_of(const Dataset& dataset, const std::string& path);

/// Throws Error where all images are of one class: every answer would be right.
void require_several_classes(const Dataset& dataset, const std::string& path);

}  // namespace previt::cli
