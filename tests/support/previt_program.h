#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "support/catch.h"
#include "support/program.h"

namespace previt::test {

/// The path of one of PreViT's programs.
inline std::string program(const std::string& name) {
  return fmt::format("{}/{}", PREVIT_PROGRAMS, name);
}

/// Waits until `there()`; the test fails where the run ends before that.
template <class Condition>
void wait_until(Program& run, Condition there) {
  while (!there()) {
    REQUIRE(run.runs());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace previt::test
