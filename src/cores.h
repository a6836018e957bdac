#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// The processor cores that this process may use by itself: those that it alone is bound to, else
/// those that the system has, divided by the processes of its run on this machine; at least 1. For
/// threads of any kind.
int64_t local_share_of_cores();

/// Those of them for threads that read images: all, but on a GPU two are kept for the thread that
/// launches its work and the one that launches the backward pass; at least 1.
int64_t cores_for_reading();

/// Keeps two cores for launching, or no longer; a program says so once it has chosen its device.
void keep_cores_for_launching(bool keep);

/// How many processes of this run are on this machine.
int64_t local_processes();

/// The name that the processor gives itself; "" where Linux doesn't tell.
std::string processor_name();

/// "AMD EPYC 9R14, 2 cores".
std::string machine_text();

/// Says how many processes of this run are on this machine, 1 by default, and how many cores of its
/// own the launcher gives each, 0 for none; once, at the start. The latter counts only where this
/// process is bound to so many.
void divide_cores(int64_t processes, int64_t own = 0);

}  // namespace previt
