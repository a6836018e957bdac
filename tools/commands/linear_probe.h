#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `linear_probe`, frozen by a test.
po::options_description linear_probe_options();

/// Trains linear classifiers on a frozen network's features and tests the best. Returns the exit
/// code; throws Error or UsageError.
int linear_probe(const po::variables_map& args);

}  // namespace previt::cli
