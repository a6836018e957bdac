#pragma once

#include <string>
#include <vector>

namespace previt::cli {

/// Runs this program once more, with `words` as its arguments, and returns what it writes to
/// stdout; stderr is the user's. Throws Error where it fails. It ends when this process does.
std::string output_of_own_program(std::vector<std::string> words);

}  // namespace previt::cli
