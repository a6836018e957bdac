#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "support/catch.h"
#include "support/program.h"

namespace previt::test {

/// The file of a program of PreViT's.
inline std::string program(const std::string& name) {
  return fmt::format("{}/{}", PREVIT_PROGRAMS, name);
}

/// Waits until `there`; a run that ends before is a failed test.
template <class Condition>
void wait_until(Program& run, Condition there) {
  while (!there()) {
    REQUIRE(run.runs());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace previt::test
