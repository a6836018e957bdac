#include "commands/scaling_simulation.h"
#include "support/catch.h"

using namespace previt::cli;

namespace {

constexpr double kNever = 1e300;

// 100 ms, of which 60 are backward; 3 buckets.
GpuStep step() { return {.seconds = 0.1, .backward = 0.6, .buckets = {10e6, 30e6, 20e6}}; }

}  // namespace

TEST_CASE("one GPU sends nothing") {
  const ScaledStep alone = scaled_step(step(), 1, {});
  CHECK(alone.seconds == 0.1);
  CHECK(alone.communication == 0);
  CHECK(alone.exposed == 0);
}

TEST_CASE("with infinite bandwidth and no latency, scaling is perfect") {
  const Interconnect ideal{
      .node_bandwidth = kNever, .gpu_bandwidth = kNever, .node_latency = 0, .gpu_latency = 0};
  for (const Scaling& row : weak_scaling(step(), {1, 2, 64, 1024}, ideal)) {
    CHECK(row.efficiency == Approx(1));
  }
  const auto strong = strong_scaling(step(), 64, {1, 64, 128}, ideal);
  REQUIRE(strong.size() == 2);  // 128 GPUs have nothing to do for 64 images
  CHECK(strong[1].step.seconds == Approx(0.1 / 64));
  CHECK(strong[1].efficiency == Approx(1));
}

TEST_CASE("a ring by hand") {
  const Interconnect network{.gpus_per_node = 4,
                             .node_bandwidth = 1e9,
                             .gpu_bandwidth = 10e9,
                             .node_latency = 1e-3,
                             .gpu_latency = 1e-4};
  // In a node: each of 4 sends 6/4 of the bytes, in 6 messages.
  CHECK(ring_seconds(10e6, 4, network) == Approx(1.5 * 1e-3 + 6e-4));
  // A tree of 4 has two levels; each half goes up and down.
  CHECK(tree_seconds(10e6, 4, network) == Approx(2 * 1e-3 + 4e-4));
  // Over two nodes the way out of a node is the slowest: 14/8 of the bytes, 14 messages.
  CHECK(ring_seconds(10e6, 8, network) == Approx(1.75 * 10e-3 + 14e-3));
  CHECK(tree_seconds(10e6, 8, network) == Approx(2 * 10e-3 + 6e-3));
  CHECK(tree_seconds(10e6, 1, network) == 0);
  // The faster one counts.
  const GpuStep single{.seconds = 1, .backward = 0, .buckets = {10e6}};
  CHECK(scaled_step(single, 8, network).exposed == Approx(26e-3));
  CHECK(scaled_step(single, 4, network).exposed == Approx(2.1e-3));
}

TEST_CASE("buckets are sent in order while backward goes on, by hand") {
  // Two GPUs, so that a bucket of b bytes takes b / bandwidth: 10, 30 and 20 ms.
  const Interconnect slow{.gpu_bandwidth = 1e9, .gpu_latency = 0};
  // They are ready after 10, 40 and 60 ms of backward, and arrive after 20, 70 and 90.
  const ScaledStep scaled = scaled_step(step(), 2, slow);
  CHECK(scaled.communication == Approx(0.06));
  CHECK(scaled.exposed == Approx(0.03));
  CHECK(scaled.seconds == Approx(0.13));
  CHECK(weak_scaling(step(), {2}, slow)[0].efficiency == Approx(0.1 / 0.13));
  // Ten times as fast, only the last bucket comes after the end: 2 ms.
  CHECK(scaled_step(step(), 2, {.gpu_bandwidth = 1e10, .gpu_latency = 0}).exposed == Approx(0.002));
  // Shared by two GPUs the step has 30 ms of backward; the buckets, 1, 3 and 2 ms, arrive at 32.
  const auto strong = strong_scaling(step(), 8, {2}, {.gpu_bandwidth = 1e10, .gpu_latency = 0});
  CHECK(strong[0].step.exposed == Approx(0.002));
  CHECK(strong[0].efficiency == Approx(0.05 / 0.052));
}
