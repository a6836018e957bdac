#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "distributed/process_group.h"
#include "distributed/watch.h"

namespace previt {

/// The stores of a rank: both show the same, but don't wait for each other.
struct Stores {
  c10::intrusive_ptr<c10d::Store> for_groups, for_watch;
  /// The rank that keeps the store in its process, -1 where it was there.
  int64_t keeper = 0;
};

/// Opens the store at the place's address and port; rank 0 makes it. Throws Error led by them.
Stores open_stores(const Place& place, const JoinOptions& options);

/// Waits until all ranks have come, and compares what they are. Throws PeerError.
void call_roll(c10d::Store& store, Watch& watch, const Place& place, const std::string& program);

/// The address of this machine on the network by which it reaches `host`.
std::string address_towards(const std::string& host);

}  // namespace previt
