#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "cores.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("the processes of a machine share its cores") {
  const int64_t all = local_share_of_cores();
  CHECK(all >= 1);
  divide_cores(2);
  CHECK(local_processes() == 2);
  CHECK(local_share_of_cores() == std::max<int64_t>(1, all / 2));
  divide_cores(100'000);
  CHECK(local_share_of_cores() == 1);
  divide_cores(1);
  CHECK(local_share_of_cores() == all);
}

TEST_CASE("who reads images leaves two cores to the launching of a GPU's work") {
  const int64_t all = local_share_of_cores();
  CHECK(cores_for_reading() == all);
  keep_cores_for_launching(true);
  CHECK(cores_for_reading() == std::max<int64_t>(1, all - 2));
  CHECK(local_share_of_cores() == all);
  keep_cores_for_launching(false);
  CHECK(cores_for_reading() == all);
}

TEST_CASE("cores that this process alone is bound to are not divided") {
  cpu_set_t before;
  CPU_ZERO(&before);
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  int core = 0;
  while (!CPU_ISSET(core, &before)) ++core;
  cpu_set_t fewer = before;
  if (CPU_COUNT(&before) > 1) CPU_CLR(core, &fewer);
  const int64_t own = CPU_COUNT(&fewer);
  REQUIRE(::sched_setaffinity(0, sizeof fewer, &fewer) == 0);
  if (own < ::sysconf(_SC_NPROCESSORS_ONLN)) {
    divide_cores(100'000, own);
    CHECK(local_share_of_cores() == own);
  }
  divide_cores(100'000, own + 1);  // Slurm doesn't always bind
  CHECK(local_share_of_cores() == 1);
  divide_cores(1);
  CHECK(::sched_setaffinity(0, sizeof before, &before) == 0);
}
