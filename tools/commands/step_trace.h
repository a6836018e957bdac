#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace previt::cli {

/// From when to when a kernel or copy ran, in nanoseconds.
using Span = std::pair<uint64_t, uint64_t>;

/// Runs `work` under LibTorch's profiler and returns the kernels and copies of a GPU meanwhile,
/// which are none elsewhere and where the profiler may not look. Unless `path` is empty, all of it
/// is written there as a Chrome trace (JSON, for chrome://tracing, Perfetto): LibTorch's operators,
/// and on a GPU what they launched. Throws Error led by the path if it can't be written.
std::vector<Span> trace(const std::string& path,
                        at::Device device,
                        const std::function<void()>& work);

/// The share of the time from the first begin to the last end in which none of them ran; 0 without
/// any.
double idle_share(std::vector<Span> spans);

}  // namespace previt::cli
