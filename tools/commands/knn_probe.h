#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `knn_probe`, frozen by a test.
po::options_description knn_probe_options();

/// Classifies the validation images by the training images nearest to them. Returns the exit code;
/// throws Error or UsageError.
int knn_probe(const po::variables_map& args);

}  // namespace previt::cli
