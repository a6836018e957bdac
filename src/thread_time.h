#pragma once

namespace previt {

/// Seconds for which a processor has worked for the calling thread: other programs take none of
/// them away, and waiting for other threads adds none.
double thread_seconds();

}  // namespace previt
