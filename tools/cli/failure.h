#pragma once

#include <functional>
#include <string>

namespace previt::cli {

/// Does what a run can go on without, as a score of its weights. Returns why it failed, in one
/// line;
/// "" where it didn't.
std::string failure_of(const std::function<void()>& work);

}  // namespace previt::cli
