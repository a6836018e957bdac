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

/// What features depend on, as text: weights, views, data, options. Another text, other features.
std::string feature_identity(const Backbone& backbone,
                             const FeatureOptions& options,
                             const std::string& data);

/// Which images of `path` these are, in which order: names and classes, and of files sizes and
/// times, so that images put in the place of others are noticed.
std::string images_identity(const std::string& path, const Dataset& images);

/// The features kept in the HDF5 file `cache` where `identity` is that of the file; else those that
/// `make` gives, which are then kept there. cache "": nothing is kept.
ProbeFeatures cached_features(const std::string& cache,
                              const std::string& identity,
                              const std::function<ProbeFeatures()>& make);

}  // namespace previt::cli
