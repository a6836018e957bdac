#include <sys/resource.h>

#include <atomic>

#include "in_threads.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("threads share the pieces, and fewer do all where the system gives no more") {
  rlimit before{};
  ::getrlimit(RLIMIT_AS, &before);
  for (const bool enough : {true, false}) {
    // No room for a thread's stack, but for the few that the system keeps.
    const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
    if (!enough) ::setrlimit(RLIMIT_AS, &none);
    std::atomic<int> next = 0, done = 0, calls = 0;
    in_threads(64, [&](int64_t) {
      ++calls;
      while (next++ < 100) ++done;
    });
    ::setrlimit(RLIMIT_AS, &before);
    CHECK(done == 100);
    CHECK((enough ? calls == 64 : calls < 64));
  }
}
