#pragma once

#include <boost/program_options.hpp>
#include <ostream>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `predict`.
po::options_description predict_options();

/// The whole command: writes CSV with a line for each image and class, likeliest first, to --out
/// or `standard_output`. An image that can't be read has a line that says why. Returns the exit
/// code; throws Error where no image can be read.
int predict(const po::variables_map& args, std::ostream& standard_output);

}  // namespace previt::cli
