#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `report`, frozen by a test.
po::options_description report_options();

/// Which of the options a word alone stands for: the run.
po::positional_options_description report_words();

/// Writes a run's report.html anew, or a page that shows several runs side by side. Returns the
/// exit code; throws Error or UsageError.
int report(const po::variables_map& args);

}  // namespace previt::cli
