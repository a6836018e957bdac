#pragma once

#include <c10/core/Device.h>

#include "support/counts.h"

namespace previt::test {

/// A device beside the CPU for machines without one. Its tensors lie in the host's memory and the
/// CPU's operators work on them, so its numbers are the CPU's; but as on a GPU, an operator that
/// gets tensors of both throws, and what would make the host wait is counted. LibTorch knows it by
/// a key that it keeps for accelerators of others (HPU).
at::Device counted_device();

/// Whether autograd works there: not with a LibTorch that has CUDA, which then is the only device
/// that autograd takes beside the CPU.
bool counted_device_has_gradients();

/// What passed between the host and counted_device() since it was made, in all threads, by name:
/// "upload" and "download" of tensors ("late download" if it doesn't block, for which a GPU wants
/// pinned memory), "read" of a number (item()), "wait" for an event, and operators whose result's
/// size the host must know before it can go on ("nonzero").
class HostTraffic : public CountsSince {
 public:
  HostTraffic();
};

/// The operators that computed something on counted_device() since it was made, by name
/// ("aten::bmm", "copy"), as LibTorch hands them to a device: what an operator calls in turn is
/// counted in its place, and views aren't. On a GPU each is a kernel, or a few.
class DeviceOperators : public CountsSince {
 public:
  DeviceOperators();
};

}  // namespace previt::test
