#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace previt::cli {

/// Runs this program with `words` as its arguments in `processes` processes at once, told as
/// torchrun tells them which is which, with one thread each. Returns what rank 0 writes to stdout.
/// Throws Error if one of them fails; what they write to stderr is seen.
std::string output_of_ranks(const std::vector<std::string>& words, int64_t processes);

}  // namespace previt::cli
