#pragma once

#include <functional>
#include <string>

#include "communicator.h"

namespace previt::cli {

/// Does `work` that a run can go on without, for example scoring its weights. Returns the reason
/// in one line where it failed, else "".
std::string failure_of(const std::function<void()>& work);

/// Does this rank's share of a work. Where it fails on one rank, all throw with its reason, so that
/// none goes on to wait for results that won't come.
void do_on_all_ranks(const std::function<void()>& work, Communicator& all = world());

}  // namespace previt::cli
