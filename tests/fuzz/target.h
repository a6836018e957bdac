#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "files.h"

/// NOTE [Fuzzing]
/// Everything that reads bytes from outside is a target here, once: fuzz.cpp makes a libFuzzer
/// program of them (tools/endurance/fuzz.sh), test_fuzz.cpp gives each of them a few thousand
/// damaged inputs in every test run. `found/NAME/` holds inputs that broke a target once.
namespace previt::fuzz {

struct Target {
  const char* name;
  /// Valid inputs, to be damaged.
  std::vector<std::string> (*seeds)();
  /// Parses and touches what came out. May return or throw Error; everything else is a defect.
  void (*parse)(const std::string& bytes);
  int inputs = 3000;     ///< of the run in the tests
  double refused = 0.3;  ///< so large a share of them must be refused at least
};

/// All of them, sorted by name.
const std::vector<Target>& targets();
bool add(const Target& target);

/// True where the input was refused.
bool refuses(const Target& target, const std::string& bytes);

inline const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

inline std::vector<std::string> fixtures(const std::vector<std::string>& names) {
  std::vector<std::string> contents;
  for (const auto& name : names) contents.push_back(read_whole_file(kFixtures + name));
  return contents;
}

/// For parsers of files: a folder that lasts, in memory where there is such a place, and a file
/// without the flush to disk.
std::string scratch();
inline std::string put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

}  // namespace previt::fuzz
