// One libFuzzer program for all targets; tools/endurance/fuzz.sh runs it.
//   fuzz --list                              the targets
//   fuzz --seeds FOLDER                      writes their seeds into FOLDER/TARGET/
//   PREVIT_FUZZ_TARGET=NAME fuzz [libFuzzer's options] CORPUS
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "error.h"
#include "fuzz/target.h"

namespace {

using previt::fuzz::Target;

const Target* target = nullptr;
uint64_t inputs = 0, refused = 0;

const Target* find(const char* name) {
  for (const Target& candidate : previt::fuzz::targets()) {
    if (name != nullptr && std::string(candidate.name) == name) return &candidate;
  }
  return nullptr;
}

int list() {
  for (const Target& each : previt::fuzz::targets()) std::printf("%s\n", each.name);
  return 0;
}

int write_seeds(const std::string& folder) {
  for (const Target& each : previt::fuzz::targets()) {
    std::filesystem::create_directories(folder + "/" + each.name);
    int number = 0;
    for (const std::string& seed : each.seeds()) {
      previt::fuzz::put(fmt::format("{}/{}/seed_{}", folder, each.name, number++), seed);
    }
  }
  return 0;
}

void report() {
  std::printf("RESULT inputs=%zu refused=%zu\n", size_t{inputs}, size_t{refused});
  std::fflush(stdout);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string what = *argc > 1 ? (*argv)[1] : "";
  if (what == "--list") std::exit(list());
  if (what == "--seeds" && *argc == 3) std::exit(write_seeds((*argv)[2]));
  target = find(std::getenv("PREVIT_FUZZ_TARGET"));
  if (target == nullptr) {
    std::fprintf(stderr, "PREVIT_FUZZ_TARGET: give one of --list\n");
    std::exit(2);
  }
  std::atexit(report);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ++inputs;
  if (previt::fuzz::refuses(*target, {reinterpret_cast<const char*>(data), size})) ++refused;
  return 0;
}
