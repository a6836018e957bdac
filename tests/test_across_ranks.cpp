#include "across_ranks.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;
using previt::test::ThreadRanks;

TEST_CASE("the ranks' parts follow each other in whole units and leave nothing out") {
  const int64_t count = GENERATE(0, 1, 7, 64, 1000), unit = GENERATE(1, 3, 64);
  const int64_t size = GENERATE(1, 2, 5);
  std::vector<Part> parts(static_cast<size_t>(size));
  ThreadRanks(size).run([&](Communicator& all) {
    parts[static_cast<size_t>(all.rank())] = part_of(count, unit, all);
  });
  const int64_t units = (count + unit - 1) / unit;
  int64_t reached = 0;
  for (const Part& part : parts) {
    CHECK(part.first == reached);
    CHECK((part.first % unit == 0 || part.empty()));
    reached = part.end;
    CHECK(part.end - part.first <= (units + size - 1) / size * unit);
  }
  CHECK(reached == count);
  for (int64_t rank = 0; rank < std::min(units, size); ++rank) {
    CHECK_FALSE(parts[static_cast<size_t>(rank)].empty());
  }
}

TEST_CASE("a total is that of all ranks") {
  std::vector<int64_t> totals(3);
  ThreadRanks(3).run([&](Communicator& all) {
    totals[static_cast<size_t>(all.rank())] = total((int64_t{1} << 40) + all.rank(), all);
  });
  for (const int64_t got : totals) CHECK(got == 3 * (int64_t{1} << 40) + 3);
  CHECK(total(5) == 5);
}
