#include "unfinished_folder.h"

#include <fcntl.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "error.h"
#include "files.h"

namespace previt {
namespace {

namespace fs = std::filesystem;

void require_free(const std::string& path) {
  std::error_code none;
  if (!fs::exists(path, none)) return;
  if (!fs::is_directory(path, none)) fail_usage("{}: is a file, not a folder", path);
  if (!fs::is_empty(path, none)) {
    fail_usage("{}: is not empty, and nothing in it is overwritten; name another folder", path);
  }
}

}  // namespace

UnfinishedFolder::UnfinishedFolder(const std::string& path, IfThere if_there)
    : if_there_(if_there) {
  // Absolute first: a relative path of which nothing exists stays relative.
  fs::path target = fs::weakly_canonical(fs::absolute(path)).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  target_ = target.string();
  path_ = target_ + ".partial";
  if (if_there_ == IfThere::refuse) {
    require_free(target_);
    require_free(path_);
  } else {
    fs::remove_all(path_);
  }
  make_folder(path_);
}

UnfinishedFolder::~UnfinishedFolder() {
  std::error_code ignored;
  if (path_ != target_) fs::remove_all(path_, ignored);
}

void UnfinishedFolder::finish() {
  flush_folder(path_);
  const bool replaces = if_there_ == IfThere::replace && fs::exists(target_);
  // The old folder is swapped out, so that at any moment one of the two is there. Otherwise the new
  // one takes the place of an empty folder; one that has got files meanwhile is an error.
  const bool swapped =
      replaces &&
      ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0;
  if (replaces && !swapped) fs::remove_all(target_);  // the file system can't swap
  require_system(swapped || std::rename(path_.c_str(), target_.c_str()) == 0, target_);
  if (swapped) fs::remove_all(path_);
  path_ = target_;
  flush_folder(fs::path(target_).parent_path().string());
}

}  // namespace previt
