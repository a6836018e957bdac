// parity_check DIR [NAME…]: runs every fixture of a folder (or those whose name contains a NAME).
#include <cstdio>
#include <filesystem>

#include "parity/parity.h"

using namespace previt::parity;

int main(int argc, char** argv) {
  if (argc < 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: parity_check DIR [NAME...]\n");
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
