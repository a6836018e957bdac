#include "error.h"
#include "pretrain/train/resume_check.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a checkpoint's classes are those that it goes on with") {
  const std::map<std::string, std::string> saved = {{"class_names", R"(["a","b"])"}};
  CHECK_NOTHROW(require_same_classes(saved, {"a", "b"}));
  const auto refuse = [&](const std::vector<std::string>& now, const std::string& change) {
    CHECK_THROWS_MATCHES(
        require_same_classes(saved, now),
        UsageError,
        Catch::Message("--resume: the data's classes are others than in the run" + change +
                       "; give the run's data, or start another run with --out"));
  };
  refuse({"b", "z"}, "; not there now: a; new: z");
  refuse({"a", "b", "c"}, "; new: c");
  refuse({"b", "a"}, "; their order is another");
  // Runs without classes, or of a time when they weren't kept.
  for (const char* names : {"[]", "null", "nonsense", "[1]"}) {
    CHECK_NOTHROW(require_same_classes({{"class_names", names}}, {"a"}));
  }
  CHECK_NOTHROW(require_same_classes({}, {"a"}));
  CHECK_NOTHROW(require_same_classes(saved, {}));
}
