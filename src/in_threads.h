#pragma once

#include <cstdint>
#include <functional>

namespace previt {

/// Calls work(0) to work(count - 1), each in a thread of its own, this one being the first, and
/// waits for all. They are to take their pieces from a common counter: where the system gives no
/// more threads, those that there are do all. Only work(0) may throw.
void in_threads(int64_t count, const std::function<void(int64_t)>& work);

}  // namespace previt
