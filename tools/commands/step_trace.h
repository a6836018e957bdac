#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <string>

namespace previt::cli {

/// Writes what happens while `work` runs as a Chrome trace (JSON, for chrome://tracing, Perfetto):
/// LibTorch's operators, and on a GPU the kernels and copies. Throws Error led by the path if it
/// can't be written.
void trace(const std::string& path, at::Device device, const std::function<void()>& work);

}  // namespace previt::cli
