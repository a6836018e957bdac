#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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
  double holdout = 0.1;      ///< share of each class, where there is no validation split
  uint64_t seed = 0;         ///< that draws the held-out images
  int64_t per_class = 0;     ///< training images per class; 0: all
  uint64_t subset_seed = 0;  ///< that draws the images per class
  /// Names of the images that a run held out, and of those it kept of each class, as
  /// utf8_or_escaped gives them: taken instead of drawn ones.
  std::optional<std::set<std::string>> held_out = {}, few_shot = {};
  bool older = false;  ///< draws as versions did that kept no such lists
};

/// Opens labelled data (open_dataset says what `path` may be). Folder listings are cached in
/// `cache_folder`; "": nowhere. Throws Error where an image has no label, where validation has a
/// class that training lacks, where there is only one class, and where no image of `few_shot` is
/// there.
LabelledData open_labelled(const std::string& path,
                           const SplitOptions& options,
                           const std::string& cache_folder);
/// The same for data whose training split is open already.
LabelledData with_validation(std::shared_ptr<Dataset> training,
                             const std::string& path,
                             const SplitOptions& options,
                             const std::string& cache_folder);

/// Opens the labelled images to evaluate on where nothing is trained: the validation split, or all
/// images where the data isn't divided. The log says which. Throws Error as labels_of does.
std::shared_ptr<Dataset> open_evaluated(const std::string& path, const std::string& cache_folder);

/// Opens the training images with these names (as utf8_or_escaped gives them), which were held
/// out. Throws Error where none of them is there; warns where some are missing.
std::shared_ptr<Dataset> open_held_out(const std::string& path,
                                       const std::set<std::string>& names,
                                       const std::string& cache_folder);

/// Whether each class has images. Throws Error as labels_of does.
std::vector<bool> classes_in(const Dataset& dataset, const std::string& path);

/// The class of each sample. Throws Error that begins with the path where a sample has none.
std::vector<int64_t> labels_of(const Dataset& dataset, const std::string& path);

/// Throws Error where all images are of one class: every answer would be right.
void require_several_classes(const Dataset& dataset, const std::string& path);

}  // namespace previt::cli
