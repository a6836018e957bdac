#include "fuzz/target.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "error.h"

namespace previt::fuzz {
namespace fs = std::filesystem;
namespace {

std::vector<Target>& all() {
  static std::vector<Target> list;
  return list;
}

struct Scratch {
  Scratch() {
    const fs::path memory = "/dev/shm";
    const fs::path parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
    path = parent / fmt::format("previt_fuzz_{}", ::getpid());
    fs::create_directories(path);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};

}  // namespace

bool add(const Target& target) {
  const auto after =
      std::upper_bound(all().begin(), all().end(), target, [](const Target& a, const Target& b) {
        return std::strcmp(a.name, b.name) < 0;
      });
  all().insert(after, target);
  return true;
}

const std::vector<Target>& targets() { return all(); }

std::string scratch() {
  static const Scratch folder;
  return folder.path + "/";
}

bool refuses(const Target& target, const std::string& bytes) {
  try {
    target.parse(bytes);
    return false;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace previt::fuzz
