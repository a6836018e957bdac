#pragma once

#include <cstdint>

namespace previt {

/// The processor cores that this process may use by itself: those that the system gives it, divided
/// by the processes of its run on this machine; at least 1. For threads of any kind.
int64_t local_share_of_cores();

/// How many processes of this run are on this machine.
int64_t local_processes();

/// Says how many processes of this run are on this machine, 1 by default; once, at the start.
void divide_cores(int64_t processes);

}  // namespace previt
