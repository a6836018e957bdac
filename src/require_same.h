#pragma once

#include <string>

namespace previt {

/// Holds all ranks (world()) to the same text, such as a recipe; collective. Throws Error on all of
/// them, which names the first rank that differs from rank 0 in `what`, such as "its recipe".
void require_same(const std::string& text, const std::string& what);

}  // namespace previt
