#pragma once

#include <chrono>

namespace previt {

/// Seconds from `start` until now.
inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds for which a processor has worked for the calling thread: other programs take none of
/// them away, and waiting for other threads adds none.
double thread_seconds();

/// The same of all threads of this process.
double process_seconds();

}  // namespace previt
