#pragma once

#include <functional>
#include <string>

namespace previt::cli {

/// Does `work` that a run can go on without, for example scoring its weights. Returns the reason
/// in one line where it failed, else "".
std::string failure_of(const std::function<void()>& work);

}  // namespace previt::cli
