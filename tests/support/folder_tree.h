#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/temp_folder.h"

namespace previt::test {

/// A temporary folder with these empty files and these symbolic links {path, target}.
class FolderTree {
 public:
  explicit FolderTree(const std::vector<std::string>& files,
                      const std::vector<std::pair<std::string, std::string>>& links = {}) {
    add(files);
    for (const auto& [path, target] : links) {
      const auto place = std::filesystem::path(this->path()) / path;
      std::filesystem::create_directories(place.parent_path());
      std::filesystem::create_symlink(target, place);
    }
  }

  void add(const std::vector<std::string>& files) const {
    for (const auto& file : files) {
      const auto place = std::filesystem::path(path()) / file;
      std::filesystem::create_directories(place.parent_path());
      std::ofstream(place, std::ios::app);
    }
  }
  const std::string& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

}  // namespace previt::test
