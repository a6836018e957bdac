#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace previt {

using Variables = std::map<std::string, std::string>;

/// The environment variables of this process.
Variables environment_variables();

/// Which of a run's processes this one is, and where the others meet.
struct Place {
  int64_t rank = 0, size = 1;
  int64_t local_rank = 0, local_size = 1;  ///< among the processes of its machine
  int64_t cores = 0;    ///< that Slurm gives each process, bound to them or not; 0: not told
  std::string address;  ///< host of rank 0; "" for a process that is alone
  int64_t port = 0;
  /// Whether what started the processes keeps the store where they meet (torchrun); else rank 0.
  bool store_is_there = false;
  /// Tells this start from those before it in the same store (torchrun's restarts).
  std::string attempt;
};

/// Reads what torchrun (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT),
/// mpirun (OMPI_COMM_WORLD_*, PMI_*) or srun (SLURM_*) tell a process, in this order. Without
/// MASTER_ADDR and MASTER_PORT, processes of mpirun and srun meet on the first host of Slurm's list
/// or, all on one machine, on loopback, at a port derived from the job's number. What is none of
/// these, such as the shell of an sbatch script, is a process that is alone. Throws UsageError led
/// by the variable.
Place place_from(const Variables& variables);

/// "node03" of "node[03-05,7],gpu1", Slurm's way to write a list of hosts. Throws UsageError.
std::string first_host(const std::string& list);

}  // namespace previt
