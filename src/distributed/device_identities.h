#pragma once

#include <string>

namespace previt {

/// Whether the ranks compute on devices of an engine, each on its own. `lines`: a line of each rank
/// with its device's identity, empty for a device that no engine serves. Throws UsageError where two
/// ranks have the same device: NCCL refuses them, in other words.
bool are_devices_of_an_engine(const std::string& lines);

}  // namespace previt
