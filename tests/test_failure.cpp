#include "error.h"
#include "failure.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

TEST_CASE("where the work of one rank fails, all fail with its reason") {
  std::vector<std::string> reasons(3);
  std::vector<int> usage(3, 0), done(3, 0);
  test::ThreadRanks(3).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    do_on_all_ranks([&] { done[rank] = 1; }, all);
    try {
      do_on_all_ranks(
          [&] {
            if (rank == 1) fail_usage("x.jpg: no picture");
          },
          all);
    } catch (const Error& error) {
      reasons[rank] = error.what();
      usage[rank] = dynamic_cast<const UsageError*>(&error) != nullptr ? 1 : 0;
    }
  });
  for (const std::string& reason : reasons) CHECK(reason == "x.jpg: no picture");
  CHECK(done == std::vector<int>{1, 1, 1});
  CHECK(usage == std::vector<int>{0, 1, 0});  // its own error stays as it is
}

TEST_CASE("a process that is alone keeps its error") {
  CHECK_THROWS_AS(do_on_all_ranks([] { fail_usage("no"); }), UsageError);
}

TEST_CASE("where rank 0 fails for all, all fail with its reason") {
  std::vector<std::string> reasons(3);
  std::vector<int> done(3, 0);
  test::ThreadRanks(3).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    do_on_first_rank([&] { done[rank] = 1; }, all);
    try {
      do_on_first_rank([] { fail_usage("val: no images"); }, all);
    } catch (const Error& error) {
      reasons[rank] = error.what();
    }
  });
  for (const std::string& reason : reasons) CHECK(reason == "val: no images");
  CHECK(done == std::vector<int>{1, 0, 0});
}

TEST_CASE("a run doesn't go on without another rank") {
  CHECK(failure_of([] { fail("no picture"); }) == "no picture");
  CHECK_THROWS_AS(failure_of([] { throw PeerError("rank 1 of 2 is gone"); }), PeerError);
}
