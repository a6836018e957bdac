#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "distributed/environment.h"

namespace previt {

/// gloo's operations on tensors of the CPU among the ranks. Has no time-outs of its own. Throws
/// exceptions of c10d and gloo.
c10::intrusive_ptr<c10d::Backend> open_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            const Place& place);

}  // namespace previt
