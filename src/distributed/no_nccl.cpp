// In place of nccl_engine.cpp where LibTorch has no NCCL, or the headers for it aren't there.
#include "distributed/device_engine.h"

namespace previt {

const DeviceEngine* device_engine() { return nullptr; }

}  // namespace previt
