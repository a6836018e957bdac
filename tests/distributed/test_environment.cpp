#include "distributed/environment.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;
using Catch::Matchers::Contains;

namespace {

Variables torchrun() {
  return {{"RANK", "5"},
          {"WORLD_SIZE", "8"},
          {"LOCAL_RANK", "1"},
          {"LOCAL_WORLD_SIZE", "4"},
          {"MASTER_ADDR", "node1"},
          {"MASTER_PORT", "29501"}};
}

Variables open_mpi() {
  return {{"OMPI_COMM_WORLD_RANK", "1"},
          {"OMPI_COMM_WORLD_SIZE", "2"},
          {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
          {"PMIX_NAMESPACE", "prterun-host-4711@1"}};
}

Variables srun() {
  return {{"SLURM_PROCID", "9"},
          {"SLURM_NTASKS", "16"},
          {"SLURM_LOCALID", "1"},
          {"SLURM_JOB_ID", "123456"},
          {"SLURM_STEP_ID", "0"},
          {"SLURM_STEP_TASKS_PER_NODE", "8(x2)"},
          {"SLURM_JOB_NODELIST", "gpu[03-05,7],cpu1"}};
}

Variables with(Variables all, const std::string& name, const std::string& value) {
  all[name] = value;
  return all;
}

Variables without(Variables all, const std::string& name) {
  all.erase(name);
  return all;
}

void refuse(const Variables& variables, const std::string& message) {
  INFO(message);
  CHECK_THROWS_AS(place_from(variables), UsageError);
  CHECK_THROWS_WITH(place_from(variables), Contains(message));
}

}  // namespace

TEST_CASE("a process without a launcher is alone") {
  CHECK(place_from({}).size == 1);
  CHECK(place_from({{"PATH", "/bin"}, {"MASTER_ADDR", "node1"}}).size == 1);
  CHECK(place_from({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size == 1);
}

TEST_CASE("torchrun's variables name a place") {
  const Place place = place_from(torchrun());
  CHECK(place.rank == 5);
  CHECK(place.size == 8);
  CHECK(place.local_rank == 1);
  CHECK(place.local_size == 4);
  CHECK(place.address == "node1");
  CHECK(place.port == 29501);
  CHECK_FALSE(place.store_is_there);

  auto variables = with(torchrun(), "TORCHELASTIC_USE_AGENT_STORE", "True");
  variables.emplace("TORCHELASTIC_RESTART_COUNT", "2");
  CHECK(place_from(variables).store_is_there);
  CHECK(place_from(variables).attempt == "2");
}

TEST_CASE("mpirun's processes on one machine meet on loopback, at a port of their job's") {
  const Place place = place_from(open_mpi());
  CHECK(place.rank == 1);
  CHECK(place.size == 2);
  CHECK(place.local_rank == 1);
  CHECK(place.address == "127.0.0.1");
  CHECK(place.port >= 15000);
  CHECK(place.port < 31000);
  CHECK(place_from(with(open_mpi(), "PMIX_NAMESPACE", "prterun-host-4712@1")).port != place.port);
  CHECK(place_from(with(open_mpi(), "MASTER_ADDR", "node7")).address == "node7");
  CHECK(place_from(with(open_mpi(), "MASTER_PORT", "4000")).port == 4000);

  const Variables hydra = {
      {"PMI_RANK", "0"}, {"PMI_SIZE", "3"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "3"}};
  CHECK(place_from(hydra).size == 3);
  CHECK(place_from(hydra).address == "127.0.0.1");
}

TEST_CASE("srun's tasks meet on the first host of their list") {
  const Place place = place_from(srun());
  CHECK(place.rank == 9);
  CHECK(place.size == 16);
  CHECK(place.local_rank == 1);
  CHECK(place.local_size == 8);
  CHECK(place.address == "gpu03");
  CHECK(place_from(with(srun(), "SLURM_JOB_ID", "123457")).port != place.port);
  // srun may speak PMI too; with other numbers, the tasks are mpirun's daemons.
  auto both = with(with(srun(), "PMI_RANK", "9"), "PMI_SIZE", "16");
  CHECK(place_from(both).local_size == 8);
  both = with(with(srun(), "PMI_RANK", "3"), "PMI_SIZE", "64");
  CHECK(place_from(both).rank == 3);
}

TEST_CASE("a step of Slurm's may have fewer tasks and hosts than its job") {
  auto step = with(srun(), "SLURM_STEP_NUM_TASKS", "12");
  step = with(step, "SLURM_STEP_NODELIST", "gpu05");
  CHECK(place_from(step).size == 12);
  CHECK(place_from(step).address == "gpu05");
  CHECK(place_from(step).cores == 0);
  CHECK(place_from(with(step, "SLURM_CPUS_PER_TASK", "6")).cores == 6);
}

TEST_CASE("processes of mpirun in a job of Slurm's meet at one place") {
  auto first = with(open_mpi(), "SLURM_JOB_ID", "123456");
  first = with(first, "SLURM_JOB_NODELIST", "gpu[03-05]");
  auto other = with(first, "SLURM_STEP_ID", "0");
  other = with(with(other, "SLURM_STEP_NODELIST", "gpu[04-05]"), "SLURM_CPUS_PER_TASK", "6");
  CHECK(place_from(first).address == "gpu03");
  CHECK(place_from(other).address == "gpu03");
  CHECK(place_from(other).port == place_from(first).port);
  CHECK(place_from(other).cores == 0);
}

TEST_CASE("the shell of an allocation is a process that is alone") {
  CHECK(place_from(without(srun(), "SLURM_STEP_ID")).size == 1);  // an sbatch script
  CHECK(place_from(without(srun(), "SLURM_PROCID")).size == 1);   // salloc
  CHECK(place_from(with(with(srun(), "SLURM_NTASKS", "1"), "SLURM_PROCID", "0")).size == 1);
}

TEST_CASE("the first of Slurm's lists of hosts") {
  CHECK(first_host("node1") == "node1");
  CHECK(first_host("node1,node2") == "node1");
  CHECK(first_host("node[03-05,7]") == "node03");
  CHECK(first_host("node[7,03-05],other") == "node7");
  CHECK(first_host("r[1-2]n[05-06].site") == "r1n05.site");
  CHECK_THROWS_AS(first_host("node[03-05"), UsageError);
  CHECK_THROWS_AS(first_host("node[]"), UsageError);
}

TEST_CASE("a place that can't be is refused by the variable's name") {
  refuse(with(torchrun(), "RANK", "8"), "RANK: 8 is not below WORLD_SIZE=8");
  refuse(with(torchrun(), "LOCAL_RANK", "4"), "LOCAL_RANK: 4 is not below LOCAL_WORLD_SIZE=4");
  refuse(with(torchrun(), "RANK", "one"), "RANK: one is not a number");
  refuse(with(torchrun(), "RANK", "-1"), "RANK: -1 is not a number");
  refuse(with(torchrun(), "WORLD_SIZE", "0"), "WORLD_SIZE: must be at least 1");
  refuse(with(torchrun(), "MASTER_PORT", "70000"), "MASTER_PORT: 70000 is not a port");
  refuse(without(torchrun(), "RANK"), "WORLD_SIZE: is set, but RANK is not");
  refuse(without(torchrun(), "WORLD_SIZE"), "RANK: is set, but WORLD_SIZE is not");
  refuse(without(torchrun(), "MASTER_ADDR"), "MASTER_ADDR: is not set");
  refuse(without(torchrun(), "MASTER_PORT"), "MASTER_PORT: is not set");
  refuse(with(open_mpi(), "OMPI_COMM_WORLD_LOCAL_SIZE", "1"), "OMPI_COMM_WORLD_LOCAL_RANK");
  refuse(
      with(with(open_mpi(), "OMPI_COMM_WORLD_LOCAL_RANK", "0"), "OMPI_COMM_WORLD_LOCAL_SIZE", "1"),
      "MASTER_ADDR: is not set");
}
