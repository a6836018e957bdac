#include "distributed/environment.h"

#include <charconv>
#include <optional>
#include <string_view>

#include "error.h"

extern char** environ;

namespace previt {
namespace {

// The names that one launcher gives to the same things; "" for what it doesn't tell.
struct Names {
  const char *rank, *size, *local_rank, *local_size;
};

constexpr Names kTorchrun = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kOpenMpi = {"OMPI_COMM_WORLD_RANK",
                            "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_RANK",
                            "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Names kPmi = {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};
constexpr const char* kSlurmRank = "SLURM_PROCID";
constexpr Names kSlurmStep = {kSlurmRank, "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""};
constexpr Names kSlurmJob = {kSlurmRank, "SLURM_NTASKS", "SLURM_LOCALID", ""};

const std::string* find(const Variables& all, const std::string& name) {
  const auto at = all.find(name);
  return at == all.end() || at->second.empty() ? nullptr : &at->second;
}

std::optional<int64_t> number(const Variables& all, const std::string& name) {
  const std::string* text = find(all, name);
  if (text == nullptr) return std::nullopt;
  int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < 0) {
    fail_usage("{}: {} is not a number", name, *text);
  }
  return value;
}

bool one_is_there(const Variables& all, const Names& names) {
  return find(all, names.rank) != nullptr || find(all, names.size) != nullptr;
}

// The shell of an sbatch script or of salloc has ranks too; only srun makes a step of several.
bool is_srun_task(const Variables& all) {
  return find(all, kSlurmRank) != nullptr &&
         (find(all, "SLURM_STEP_ID") != nullptr || find(all, "SLURM_STEPID") != nullptr);
}

// A step may have fewer tasks than its job.
const Names& slurm_names(const Variables& all) {
  return find(all, kSlurmStep.size) != nullptr ? kSlurmStep : kSlurmJob;
}

bool is_slurm(const Names& names) { return names.rank == kSlurmRank; }

// srun may speak PMI as well. Where the numbers differ, the tasks are mpirun's daemons, one a node.
const Names* launcher_of(const Variables& all) {
  if (one_is_there(all, kTorchrun)) return &kTorchrun;
  if (one_is_there(all, kOpenMpi)) return &kOpenMpi;
  const bool pmi = one_is_there(all, kPmi);
  const Names& slurm = slurm_names(all);
  const bool srun = is_srun_task(all);
  if (srun && (!pmi || number(all, kPmi.size) == number(all, slurm.size))) return &slurm;
  return pmi ? &kPmi : nullptr;
}

int64_t together(const Variables& all, const char* there, const char* missing) {
  const auto value = number(all, there);
  if (!value) fail_usage("{}: is set, but {} is not", missing, there);
  return *value;
}

void check(const char* rank, int64_t value, const char* size, int64_t of) {
  if (value >= of) fail_usage("{}: {} is not below {}={}", rank, value, size, of);
}

// "4(x2),3": so many on the first machines and so on. All machines are taken to have as many as the
// first, which only divides threads.
int64_t slurm_tasks_here(const Variables& all, int64_t size) {
  const std::string* counts = find(all, "SLURM_STEP_TASKS_PER_NODE");
  int64_t first = 0;
  if (counts == nullptr) return size;
  std::from_chars(counts->data(), counts->data() + counts->size(), first);
  return first > 0 ? first : size;
}

void fill_ranks(Place& place, const Variables& all, const Names& names) {
  place.size = together(all, names.size, names.rank);
  place.rank = together(all, names.rank, names.size);
  if (place.size < 1) fail_usage("{}: must be at least 1", names.size);
  check(names.rank, place.rank, names.size, place.size);
  const bool slurm = is_slurm(names);
  place.local_size = slurm ? slurm_tasks_here(all, place.size)
                           : number(all, names.local_size).value_or(place.size);
  place.local_rank = number(all, names.local_rank).value_or(place.rank % place.local_size);
  if (place.local_size < 1) fail_usage("{}: must be at least 1", names.local_size);
  if (!slurm) check(names.local_rank, place.local_rank, names.local_size, place.local_size);
}

// A port for what has only the number of a job; below those that systems hand out by themselves.
int64_t port_of(const std::string& job) {
  uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return 15000 + static_cast<int64_t>(hash % 16000);
}

// mpirun in an sbatch script starts its daemons as a step that lacks the first machine, so what
// Slurm tells of a step differs between its ranks.
std::string job_of(const Variables& all, const Names& names) {
  std::string job;
  for (const char* name : {"SLURM_JOB_ID",
                           "SLURM_STEP_ID",
                           "PMIX_NAMESPACE",
                           "OMPI_MCA_ess_base_jobid",
                           "PMI_JOBID"}) {
    if (std::string_view(name) == "SLURM_STEP_ID" && !is_slurm(names)) continue;
    if (const std::string* part = find(all, name)) job += *part + "/";
  }
  return job;
}

void fill_meeting(Place& place, const Variables& all, const Names& names) {
  const bool torchrun = names.rank == kTorchrun.rank;
  const std::string* hosts = is_slurm(names) ? find(all, "SLURM_STEP_NODELIST") : nullptr;
  if (hosts == nullptr) hosts = find(all, "SLURM_JOB_NODELIST");
  if (hosts == nullptr) hosts = find(all, "SLURM_NODELIST");
  if (const std::string* address = find(all, "MASTER_ADDR")) {
    place.address = *address;
  } else if (!torchrun && hosts != nullptr) {
    place.address = first_host(*hosts);
  } else if (!torchrun && number(all, names.local_size) == place.size) {
    place.address = "127.0.0.1";
  } else {
    fail_usage("MASTER_ADDR: is not set; it names the host of rank 0, where {} processes meet",
               place.size);
  }
  const auto port = number(all, "MASTER_PORT");
  if (!port && torchrun) fail_usage("MASTER_PORT: is not set; MASTER_ADDR needs one");
  place.port = port.value_or(port_of(job_of(all, names)));
  if (place.port < 1 || place.port > 65535) {
    fail_usage("MASTER_PORT: {} is not a port, which is 1 to 65535", place.port);
  }
}

}  // namespace

Variables environment_variables() {
  Variables all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) all[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return all;
}

Place place_from(const Variables& variables) {
  const Names* names = launcher_of(variables);
  Place place;
  if (names == nullptr) return place;
  fill_ranks(place, variables, *names);
  if (place.size == 1) return {};
  fill_meeting(place, variables, *names);
  if (is_slurm(*names)) place.cores = number(variables, "SLURM_CPUS_PER_TASK").value_or(0);
  const std::string* agent = find(variables, "TORCHELASTIC_USE_AGENT_STORE");
  place.store_is_there = names == &kTorchrun && agent != nullptr && *agent == "True";
  const std::string* restart = find(variables, "TORCHELASTIC_RESTART_COUNT");
  if (restart != nullptr) place.attempt = *restart;
  return place;
}

std::string first_host(const std::string& list) {
  const auto end = list.find_first_of(",[");
  std::string host = list.substr(0, end);
  if (end != std::string::npos && list[end] == '[') {
    const auto close = list.find(']', end);
    const auto stop = list.find_first_of(",-]", end);
    if (close == std::string::npos || stop == end + 1) {
      fail_usage("SLURM_NODELIST: {} is not a list of hosts", list);
    }
    host += list.substr(end + 1, stop - end - 1);
    const auto next = list.find(',', close);
    host += first_host(list.substr(close + 1, next - close - 1));
  }
  return host;
}

}  // namespace previt
