#pragma once

#include <cstdint>
#include <vector>

namespace previt::cli {

/// What one GPU does in a step, without other GPUs.
struct GpuStep {
  double seconds = 0;           ///< the whole step
  double backward = 2.0 / 3;    ///< share of it in the last micro-step's backward
  std::vector<double> buckets;  ///< bytes of gradients, in the order in which they are sent
};

/// What connects the GPUs. A ring over all of them passes every link; the slowest holds it up.
struct Interconnect {
  int64_t gpus_per_node = 8;
  double node_bandwidth = 50e9;  ///< bytes/s out of a node, all its adapters together
  double gpu_bandwidth = 450e9;  ///< bytes/s out of a GPU towards the others of its node
  double node_latency = 5e-6;    ///< seconds from one GPU to the next, in another node
  double gpu_latency = 1e-6;     ///< the same within a node
};

/// Seconds that a ring all-reduce of `bytes` over `gpus` takes: every GPU sends 2 (n - 1) / n of
/// them, in 2 (n - 1) messages, one after the other (Patarasuk and Yuan 2009).
double ring_seconds(double bytes, int64_t gpus, const Interconnect& network);

/// The same by two binary trees, each for one half (Sanders et al. 2009): every GPU sends all bytes
/// towards the root and back, in 2 log2 n messages. NCCL takes what it expects to be faster, as the
/// simulation does: the ring up to a few nodes, trees beyond.
double tree_seconds(double bytes, int64_t gpus, const Interconnect& network);

/// A step of many GPUs.
struct ScaledStep {
  double seconds = 0;
  double communication = 0;  ///< seconds in which gradients are on their way
  double exposed = 0;        ///< those after the end of backward
};

/// The step of `gpus` GPUs that each do what `step` says. A bucket is ready when the backward has
/// come as far as its share of all bytes, and is sent when the one before it has arrived.
ScaledStep scaled_step(const GpuStep& step, int64_t gpus, const Interconnect& network);

/// One row of a scaling table.
struct Scaling {
  int64_t gpus = 1;
  ScaledStep step;
  double efficiency = 1;  ///< images per second and GPU, of those of a single GPU
};

/// Weak scaling: each GPU keeps its images, so the whole batch grows.
std::vector<Scaling> weak_scaling(const GpuStep& step,
                                  const std::vector<int64_t>& gpus,
                                  const Interconnect& network);

/// Strong scaling: the GPUs share the images of one GPU's step. Its time is taken to fall with the
/// images, of which a GPU has fewer than one once there are more GPUs than `images`; those rows are
/// left out.
std::vector<Scaling> strong_scaling(const GpuStep& step,
                                    int64_t images,
                                    const std::vector<int64_t>& gpus,
                                    const Interconnect& network);

}  // namespace previt::cli
