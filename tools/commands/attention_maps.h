#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `attention_maps`, frozen by a test.
po::options_description attention_maps_options();

/// Writes where a network looks: pictures, an HDF5 file of all maps, and scores against object
/// masks. Returns the exit code; throws Error or UsageError.
int attention_maps(const po::variables_map& args);

}  // namespace previt::cli
