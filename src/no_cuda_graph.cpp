// In place of cuda_graph.cpp where LibTorch has no CUDA, or the headers for it aren't there.
#include "device_graph.h"

namespace previt {

std::unique_ptr<DeviceGraph> make_device_graph(at::Device) { return nullptr; }

}  // namespace previt
