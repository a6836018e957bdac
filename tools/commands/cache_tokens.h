#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `cache_tokens`.
po::options_description cache_tokens_options();

/// The whole command: the tokens of all images that a BEiT recipe trains on, in one HDF5 file for
/// beit.tokens. Returns the exit code; throws Error or UsageError.
int cache_tokens(const po::variables_map& args);

}  // namespace previt::cli
