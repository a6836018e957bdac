#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `embed`, frozen by a test.
po::options_description embed_options();

/// Writes the features of images to an HDF5 file, and pictures of them. Returns the exit code;
/// throws Error or UsageError.
int embed(const po::variables_map& args);

}  // namespace previt::cli
