#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

namespace previt {

/// A folder of its own for a test, removed with everything in it at the end of the scope.
class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> count = 0;
    const std::string name =
        "previt_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++);
    path_ = (std::filesystem::temp_directory_path() / name).string();
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace previt
