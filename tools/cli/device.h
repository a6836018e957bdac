#pragma once

#include <c10/core/Device.h>

#include <string>

namespace previt::cli {

/// The device named on the command line: cpu, cuda, cuda:N, or auto (cuda where there is one, else
/// cpu). Throws UsageError where the name is none of these or the device is not there.
at::Device choose_device(const std::string& name);

}  // namespace previt::cli
