#include "commands/scaling_simulation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace previt::cli {

namespace {

struct Link {
  double bandwidth, latency;
};

Link slowest_link(int64_t gpus, const Interconnect& network) {
  if (gpus <= network.gpus_per_node) return {network.gpu_bandwidth, network.gpu_latency};
  return {std::min(network.gpu_bandwidth, network.node_bandwidth), network.node_latency};
}

}  // namespace

double ring_seconds(double bytes, int64_t gpus, const Interconnect& network) {
  if (gpus <= 1) return 0;
  const auto n = static_cast<double>(gpus);
  const Link link = slowest_link(gpus, network);
  return 2 * (n - 1) / n * bytes / link.bandwidth + 2 * (n - 1) * link.latency;
}

double tree_seconds(double bytes, int64_t gpus, const Interconnect& network) {
  if (gpus <= 1) return 0;
  const Link link = slowest_link(gpus, network);
  const double levels = std::ceil(std::log2(static_cast<double>(gpus)));
  return 2 * bytes / link.bandwidth + 2 * levels * link.latency;
}

ScaledStep scaled_step(const GpuStep& step, int64_t gpus, const Interconnect& network) {
  const double all = std::accumulate(step.buckets.begin(), step.buckets.end(), 0.0);
  const double backward = step.backward * step.seconds;
  ScaledStep scaled;
  // Seconds since backward began: when a bucket is ready, and when the last one has arrived.
  double done = 0, arrived = 0;
  for (const double bytes : step.buckets) {
    done += bytes;
    const double sending =
        std::min(ring_seconds(bytes, gpus, network), tree_seconds(bytes, gpus, network));
    arrived = std::max(arrived, backward * done / all) + sending;
    scaled.communication += sending;
  }
  scaled.exposed = gpus <= 1 ? 0 : std::max(0.0, arrived - backward);
  scaled.seconds = step.seconds + scaled.exposed;
  return scaled;
}

std::vector<Scaling> weak_scaling(const GpuStep& step,
                                  const std::vector<int64_t>& gpus,
                                  const Interconnect& network) {
  std::vector<Scaling> rows;
  for (const int64_t n : gpus) {
    const ScaledStep scaled = scaled_step(step, n, network);
    rows.push_back({n, scaled, step.seconds / scaled.seconds});
  }
  return rows;
}

std::vector<Scaling> strong_scaling(const GpuStep& step,
                                    int64_t images,
                                    const std::vector<int64_t>& gpus,
                                    const Interconnect& network) {
  std::vector<Scaling> rows;
  for (const int64_t n : gpus) {
    if (n > images) continue;
    GpuStep part = step;
    part.seconds /= static_cast<double>(n);
    const ScaledStep scaled = scaled_step(part, n, network);
    rows.push_back({n, scaled, part.seconds / scaled.seconds});
  }
  return rows;
}

}  // namespace previt::cli
