#include "unfinished_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "error.h"

namespace previt {

namespace fs = std::filesystem;

std::string behind_link(const std::string& path) {
  std::error_code none;
  return fs::is_symlink(path, none) ? fs::weakly_canonical(path, none).string() : path;
}

UnfinishedFile::UnfinishedFile(const std::string& path)
    : target_(behind_link(path)), path_(target_) {
  std::error_code none;
  // Pipes and devices are written to directly. A folder is refused when it is opened.
  if (!fs::exists(target_, none) || fs::is_regular_file(target_, none)) path_ += ".partial";
}

UnfinishedFile::~UnfinishedFile() {
  std::error_code ignored;
  if (path_ != target_) std::filesystem::remove(path_, ignored);
}

void UnfinishedFile::finish() {
  if (path_ == target_) return;
  require(
      std::rename(path_.c_str(), target_.c_str()) == 0, "{}: {}", target_, std::strerror(errno));
  path_ = target_;
}

}  // namespace previt
