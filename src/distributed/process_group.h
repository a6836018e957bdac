#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "communicator.h"
#include "distributed/environment.h"

namespace previt {

/// The processes of a run.
class ProcessGroup : public Communicator {
 public:
  /// Waits until all ranks have come; comes before all else. Throws Error, or PeerError: a rank has
  /// not come, is there twice, or is of another program or size.
  virtual void meet() = 0;
  /// Says that this rank can't go on, so that the others end too, and waits until rank 0 has heard
  /// of it (8 seconds at most). Returns whether this rank has to tell the user: rank 0 tells what
  /// happens anywhere. The process must then end by _Exit, as operations may be under way.
  virtual bool fail_with(const std::string& line) = 0;
  /// The same for a rank that ends because of another.
  virtual bool fail_after_peer() = 0;
  /// The end of a run that went well. The rank that keeps the store waits for the others.
  virtual void leave() = 0;
};

/// Set by --nproc: the number of a listening socket for rank 0, -1 for the others.
constexpr const char* kListenerVariable = "PREVIT_LISTENER";

struct JoinOptions {
  std::string program;  ///< name and version, which all ranks must share
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  /// A listening socket at the port of `place` for the store of rank 0; the group closes it.
  std::optional<int> listener;
  /// Whether what started the processes tells the user of a rank 0 that is gone.
  bool leader_is_watched = false;
  bool c10d_logs = false;  ///< c10d's own warnings of ranks that are late or gone
};

/// Whether this LibTorch has what several processes need. Throws UsageError where not.
void require_c10d();

/// Opens the store where the processes of `place`, more than one, meet. Throws Error: rank 0 doesn't
/// answer, the port is in use, or this LibTorch has no c10d.
std::unique_ptr<ProcessGroup> open_group(const Place& place, const JoinOptions& options);

}  // namespace previt
