#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>
#include <vector>

namespace previt::cli {

namespace po = boost::program_options;

/// What a program says of itself besides --help, for `cmake --install`: `word` is --help-man (a
/// manual page), --help-bash or --help-zsh (completions); for any other word "". `summary` is
/// "name: what it does". For a command of a program ("bench step: …") these are parts of the
/// program's page, which help_page_of_family puts together.
std::string help_page(const std::string& word,
                      const std::string& summary,
                      const po::options_description& options);

/// The frame around the parts of a program with commands: what comes before and after them.
struct HelpFrame {
  std::string before, after;
};
HelpFrame help_frame(const std::string& word,
                     const std::string& summary,
                     const std::vector<std::string>& commands);

/// One of a program's commands, as `bench step`; `main` gets the words from the command on.
struct Command {
  std::string name;
  int (*main)(int argc, char** argv);
};

/// Runs the command that argv[1] names. Without one prints `usage`.
int run_command(int argc,
                char** argv,
                const std::string& summary,
                const std::string& usage,
                const std::vector<Command>& commands);

}  // namespace previt::cli
