#include "commands/step_trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "error.h"

namespace previt::cli {

std::vector<Span> trace(const std::string& path,
                        at::Device device,
                        const std::function<void()>& work) {
  namespace profiler = torch::autograd::profiler;
  using torch::profiler::impl::ActivityType;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO,
                                                     /*report_input_shapes=*/true);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (device.is_cuda()) activities.insert(ActivityType::CUDA);
  if (!path.empty()) std::filesystem::remove(path);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  try {
    work();
  } catch (...) {
    profiler::disableProfiler();
    throw;
  }
  const auto result = profiler::disableProfiler();
  if (!path.empty()) {
    result->save(path);
    // Kineto only logs that it couldn't.
    require(std::filesystem::exists(path), "{}: the trace was not written", path);
  }
  std::vector<Span> spans;
  for (const auto& event : result->events()) {
    if (event.deviceType() == at::kCUDA) spans.emplace_back(event.startNs(), event.endNs());
  }
  return spans;
}

double idle_share(std::vector<Span> spans) {
  if (spans.empty()) return 0;
  std::sort(spans.begin(), spans.end());
  const uint64_t begin = spans.front().first;
  uint64_t busy = 0, last = begin;
  for (const auto& [from, to] : spans) {  // they overlap where there are several streams
    if (to <= last) continue;
    busy += to - std::max(from, last);
    last = to;
  }
  if (last == begin) return 0;
  return 1 - static_cast<double>(busy) / static_cast<double>(last - begin);
}

}  // namespace previt::cli
