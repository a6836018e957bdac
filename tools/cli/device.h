#pragma once

#include <c10/core/Device.h>

#include <string>

namespace previt::cli {

/// The device named on the command line: cpu, cuda, cuda:N, or auto (cuda where there is one).
/// Throws UsageError when it is not one of these or not there.
at::Device choose_device(const std::string& name);

}  // namespace previt::cli
