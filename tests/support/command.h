#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/main.h"
#include "files.h"

namespace previt::test {

using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The words that set these keys: --set before each "key=value".
inline Words settings(const Words& changes) {
  Words words;
  for (const auto& change : changes) words = words + Words{"--set", change};
  return words;
}

/// The options that these words of a command line give, without the program's name.
inline cli::po::variables_map parse(const cli::po::options_description& options,
                                    const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words).options(options).run(), args);
  cli::po::notify(args);
  return args;
}

/// Runs a tool with this command line and returns its exit code.
inline int call(const cli::po::options_description& options,
                int (*tool)(const cli::po::variables_map&),
                const Words& words) {
  return tool(parse(options, words));
}

/// What a tool wrote into FOLDER/result.json.
inline nlohmann::json result_in(const std::string& folder) {
  return nlohmann::json::parse(read_whole_file(folder + "/result.json"));
}

}  // namespace previt::test
