#pragma once

#include <cstdint>

#include "device_graph.h"

namespace previt::test {

/// A graph of counted_device(), as blind as CUDA's: it does the recorded operators again on the
/// memory that they had, with the numbers that the host gave then. Nothing counts as done while it
/// records: what was made holds NaN until the first replay. What would wait for the device or come
/// from the host can't be recorded, and a replay throws if memory that was there before the
/// recording has been freed.
DeviceGraphMaker recorded_graphs();

/// In this process, until now.
struct GraphCounts {
  int64_t recordings = 0, replays = 0;
};
GraphCounts graph_counts();

}  // namespace previt::test
