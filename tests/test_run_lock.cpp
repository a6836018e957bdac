#include <unistd.h>

#include <filesystem>

#include "error.h"
#include "files.h"
#include "run_lock.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("a run folder has one writer at a time, and the second learns who it is") {
  const TempFolder temp;
  const std::string run = temp.path() + "/runs/a";
  {
    const RunLock first(run);
    CHECK_THROWS_WITH(RunLock(run),
                      ContainsSubstring(run + ": process ") &&
                          ContainsSubstring(std::to_string(::getpid()) + " on "));
    write_whole_file(run + "/metrics.jsonl", "{}");
  }
  const RunLock next(run);
  CHECK(std::filesystem::exists(run + "/metrics.jsonl"));
}

TEST_CASE("a lock of another process that is gone does not block, whatever its file says") {
  const TempFolder temp;
  write_whole_file(temp.path() + "/.lock",
                   GENERATE(as<std::string>(), "process 1 on here", "", "\xFF"));
  const RunLock lock(temp.path());
}

TEST_CASE("a folder that got nothing but the lock is removed again") {
  const TempFolder temp;
  { const RunLock lock(temp.path() + "/run"); }
  CHECK_FALSE(std::filesystem::exists(temp.path() + "/run"));
  write_whole_file(temp.path() + "/file", "");
  CHECK_THROWS_WITH(RunLock(temp.path() + "/file"), ContainsSubstring("/file: can't be made"));
}
