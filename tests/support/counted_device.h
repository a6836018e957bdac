#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>

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
class HostTraffic {
 public:
  HostTraffic();
  std::map<std::string, int64_t> counts() const;

 private:
  std::map<std::string, int64_t> before_;
};

}  // namespace previt::test
