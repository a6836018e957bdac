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
