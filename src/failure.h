#pragma once

#include <functional>
#include <string>

#include "communicator.h"

namespace previt {

/// Does `work` that a run can go on without, for example scoring its weights. Returns the reason
/// in one line where it failed, else "". Throws PeerError as it is: without the other ranks no run
/// goes on.
std::string failure_of(const std::function<void()>& work);

/// Does on rank 0 what it does for all. Where it fails, all throw with its reason.
void do_on_first_rank(const std::function<void()>& work, Communicator& all = world());

/// Does this rank's share of a work. Where it fails on one rank, all throw with its reason, so that
/// none goes on to wait for results that won't come.
void do_on_all_ranks(const std::function<void()>& work, Communicator& all = world());

}  // namespace previt
