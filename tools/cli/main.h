#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>

namespace previt::cli {

namespace po = boost::program_options;

/// Writes to stdout at once. Throws Error where it can't, as on a full disk.
void print(const std::string& text);

/// What --nproc means, where a command has it.
enum class Nproc {
  starts,  ///< so many processes, which share the command's work
  is_told  ///< to the command, which runs in one process
};

/// Parses the command line with `options` (--help and --version are added, and --list-recipes
/// and the words of help_pages.h are answered) and calls `body`. `summary` begins with the
/// program's name and a colon. What that throws becomes one line on stderr and an exit code: 2 for
/// usage, 1 for failure. With PREVIT_DEBUG=1 the message comes with its backtrace. `words` says
/// which option a word without a name is the value of.
int run(int argc,
        char** argv,
        const std::string& summary,
        po::options_description options,
        const std::function<int(const po::variables_map&)>& body,
        Nproc nproc = Nproc::starts,
        const po::positional_options_description& words = {});

}  // namespace previt::cli
