// parity_check [--device D] DIR [NAME…]: runs every fixture of a folder (or those whose name
// contains a NAME), with networks and losses on cpu (the default), cuda or cuda:N.
#include <cstdio>
#include <filesystem>
#include <string>

#include "parity/parity.h"

using namespace previt::parity;

int main(int argc, char** argv) {
  if (argc > 2 && argv[1] == std::string("--device")) {
    try {
      use_device(at::Device(argv[2]));
      torch::empty({1}, device());
    } catch (const std::exception&) {
      std::fprintf(stderr, "parity_check: --device: %s is not there\n", argv[2]);
      return 2;
    }
    // The tolerances are those of float32.
    at::globalContext().setFloat32MatmulPrecision("highest");
    at::globalContext().setAllowTF32CuDNN(false);
    argc -= 2;
    argv += 2;
  }
  if (argc < 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: parity_check [--device cpu|cuda|cuda:N] DIR [NAME...]\n");
    return 2;
  }
  const char* words[] = {"pass", "FAIL", "unsupported"};
  int64_t counts[3] = {0, 0, 0};
  for (const auto& report : run_folder(argv[1])) {
    bool wanted = argc == 2;
    for (int i = 2; i < argc; ++i) wanted |= report.file.find(argv[i]) != std::string::npos;
    if (!wanted) continue;
    const auto outcome = static_cast<int>(report.outcome);
    ++counts[outcome];
    std::printf("%-11s %-48s %s\n", words[outcome], report.file.c_str(), report.detail.c_str());
    std::fflush(stdout);
  }
  std::printf("%ld passed, %ld failed, %ld unsupported\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? 0 : 1;
}
