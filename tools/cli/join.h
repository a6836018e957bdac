#pragma once

#include <functional>
#include <string>

namespace previt::cli {

/// Whether PREVIT_DEBUG asks for all that there is to say, from all ranks.
bool debugging();

/// What a command came to.
struct Ending {
  int code = 0;
  std::string line = "";         ///< what went wrong, for the user; "": nothing
  bool because_of_peer = false;  ///< another rank is the reason
};

/// Does `work`, which doesn't throw, as one of the processes that torchrun, mpirun, srun or --nproc
/// started (distributed/environment.h), or alone. With several, world() is theirs meanwhile; ranks
/// other than 0 are silent, and threads are divided. Where a rank fails, the user gets one line,
/// from rank 0 if it lives; the others end too, and this function doesn't return. Throws Error, or
/// UsageError where there are several but the `command` doesn't take them.
Ending in_world(const std::string& command,
                bool takes_several,
                const std::function<Ending()>& work);

}  // namespace previt::cli
