#include "cli/failure.h"
#include "error.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

TEST_CASE("where the work of one rank fails, all fail with its reason") {
  std::vector<std::string> reasons(3);
  std::vector<int> usage(3, 0), done(3, 0);
  test::ThreadRanks(3).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    cli::do_on_all_ranks([&] { done[rank] = 1; }, all);
    try {
      cli::do_on_all_ranks(
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
  CHECK_THROWS_AS(cli::do_on_all_ranks([] { fail_usage("no"); }), UsageError);
}
