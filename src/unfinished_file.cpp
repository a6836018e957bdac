#include "unfinished_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "error.h"

namespace previt {

UnfinishedFile::UnfinishedFile(const std::string& path) : target_(path), path_(path) {
  namespace fs = std::filesystem;
  std::error_code none;
  // A link is followed, so that the rename replaces the file and not the link.
  if (fs::is_symlink(target_, none)) target_ = path_ = fs::weakly_canonical(target_, none).string();
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
