#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `convert`, frozen by a test.
po::options_description convert_options();

/// Writes a network into a new folder as another code base loads it. Returns the exit code; throws
/// Error or UsageError.
int convert(const po::variables_map& args);

}  // namespace previt::cli
