#include "unfinished_file.h"

#include <cstdio>
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
  if (fs::exists(target_, none) && !fs::is_regular_file(target_, none)) return;
  path_ += ".partial";
  lock_.emplace(path_, target_);
  if (lock_->state() == FileLock::State::another_has_it) {
    fail("{}: another process is writing it; wait for its end, or give another name", target_);
  }
  begun_ = fs::file_size(path_, none) > 0;
}

UnfinishedFile::~UnfinishedFile() {
  if (path_ == target_ || if_unfinished_ == IfUnfinished::kept) return;
  std::error_code ignored;
  fs::remove(path_, ignored);  // while it is locked, so that it is nobody else's
}

void UnfinishedFile::finish() {
  if (path_ == target_) return;
  require_system(std::rename(path_.c_str(), target_.c_str()) == 0, target_);
  path_ = target_;
  lock_.reset();
}

}  // namespace previt
