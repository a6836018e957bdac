#pragma once

#include <functional>
#include <string>

#include "cli/backbone.h"
#include "finetune/probes/knn.h"

namespace previt::cli {

/// The parts of a data set that a linear probe works with, as features. N images each.
struct ProbeFeatures {
  LabelledFeatures fit;     ///< to train on; undefined where they are made anew each epoch
  LabelledFeatures choose;  ///< to choose among the classifiers
  LabelledFeatures test;
};

/// All that features depend on, as a text: weights, views, data, options. Another text means other
/// features.
std::string feature_identity(const Backbone& backbone,
                             const FeatureOptions& options,
                             const std::string& data);

/// Which images of `path` these are, and in which order, as a text: names, classes, and sizes and
/// times of files, so that exchanged images are noticed.
std::string images_identity(const std::string& path, const Dataset& images);

/// The features from the HDF5 file `cache`, if they were written for the same `identity`; else
/// those from `make`, which are then written there. With an empty `cache` nothing is kept. Throws
/// Error where the file can't be read or written.
ProbeFeatures cached_features(const std::string& cache,
                              const std::string& identity,
                              const std::function<ProbeFeatures()>& make);

}  // namespace previt::cli
