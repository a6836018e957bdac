#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "fuzz/mutate.h"
#include "fuzz/target.h"
#include "support/catch.h"

using namespace previt;
using fuzz::Target;

namespace {

// A long run without libFuzzer: PREVIT_FUZZ_INPUTS=100000 parser_tests '[fuzz]'
int inputs_for(const Target& target) {
  const char* wanted = std::getenv("PREVIT_FUZZ_INPUTS");
  return wanted == nullptr ? target.inputs : std::atoi(wanted);
}

/// The share that was refused. What does harm is kept for a look.
double damage(const Target& target, int inputs) {
  const auto seeds = target.seeds();
  std::mt19937 random(20240611);
  int refused = 0;
  for (int i = 0; i < inputs; ++i) {
    const std::string damaged = mutate(seeds[static_cast<size_t>(i) % seeds.size()], random);
    try {
      if (fuzz::refuses(target, damaged)) ++refused;
    } catch (...) {
      fuzz::put(std::string("fuzz-") + target.name, damaged);
      throw;
    }
  }
  return static_cast<double>(refused) / inputs;
}

}  // namespace

TEST_CASE("what parses takes its own seeds and refuses damage with an Error", "[fuzz]") {
  for (const Target& target : fuzz::targets()) {
    DYNAMIC_SECTION(target.name) {
      for (const std::string& seed : target.seeds()) CHECK_NOTHROW(target.parse(seed));
      CHECK(damage(target, inputs_for(target)) >= target.refused);
    }
  }
}

TEST_CASE("inputs that fuzzing found once stay harmless", "[fuzz]") {
  const std::filesystem::path found = PREVIT_SOURCE_DIR "/tests/fuzz/found";
  for (const Target& target : fuzz::targets()) {
    std::error_code none;
    for (const auto& file : std::filesystem::directory_iterator(found / target.name, none)) {
      INFO(file.path().string());
      CHECK_NOTHROW(fuzz::refuses(target, read_whole_file(file.path())));
    }
  }
}
