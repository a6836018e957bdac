#include "augment/io/folder_listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "error.h"

namespace previt {
namespace {

constexpr int kDeepest = 32;  // levels; links can go round in circles
constexpr std::string_view kListingMagic = "previt listing 1\n";

bool is_image(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kExtensions = {
      "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "tif", "tiff"};
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > 5) return false;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

int64_t modified(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

struct Content {
  int64_t modified = 0;
  std::string names;  // images, each ended by a zero
  std::vector<uint32_t> files;
  std::vector<std::string> folders;
};

/// One folder, without a stat per file where the file system tells their types.
Content read_folder(const std::string& path) {
  Content content;
  DIR* folder = ::opendir(path.c_str());
  require(folder != nullptr, "{}: can't be listed: {}", path, std::strerror(errno));
  struct stat status {};
  ::fstat(::dirfd(folder), &status);
  content.modified = modified(status);
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    int type = entry->d_type;
    if (type == DT_LNK || type == DT_UNKNOWN) {
      if (::fstatat(::dirfd(folder), entry->d_name, &status, 0) != 0) continue;
      type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
    }
    if (type == DT_DIR) {
      content.folders.emplace_back(entry->d_name);
    } else if (type == DT_REG && is_image(entry->d_name)) {
      content.files.push_back(static_cast<uint32_t>(content.names.size()));
      content.names.append(entry->d_name).push_back('\0');
    }
  }
  ::closedir(folder);
  const char* names = content.names.data();
  std::sort(content.files.begin(), content.files.end(), [names](uint32_t a, uint32_t b) {
    return std::strcmp(names + a, names + b) < 0;
  });
  return content;
}

/// All folders of a level at once, by several threads: network file systems answer slowly.
std::vector<Content> read_folders(const std::string& root, const std::vector<std::string>& paths) {
  std::vector<Content> contents(paths.size());
  std::vector<std::exception_ptr> errors(paths.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < paths.size(); i = next++) {
      try {
        contents[i] = read_folder(paths[i].empty() ? root : root + "/" + paths[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min<size_t>(8, paths.size()); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return contents;
}

FolderListing scan(const std::string& root) {
  std::map<std::string, Content> all;
  std::vector<std::string> level = {""};
  for (int depth = 0; depth < kDeepest && !level.empty(); ++depth) {
    auto contents = read_folders(root, level);
    std::vector<std::string> below;
    for (size_t i = 0; i < level.size(); ++i) {
      for (const auto& name : contents[i].folders) {
        below.push_back(level[i].empty() ? name : level[i] + "/" + name);
      }
      all.emplace(level[i], std::move(contents[i]));
    }
    level = std::move(below);
  }
  FolderListing listing;
  for (const auto& [path, content] : all) {
    listing.add_folder(path, content.modified);
    for (const uint32_t file : content.files) listing.add_file(content.names.data() + file);
  }
  return listing;
}

}  // namespace

std::string FolderListing::path(int64_t index) const {
  const auto& folder = folders_[folder_of(index)].path;
  const char* name = names_.data() + offsets_[index];
  return folder.empty() ? name : folder + "/" + name;
}

size_t FolderListing::folder_of(int64_t index) const {
  const auto after =
      std::upper_bound(folders_.begin(), folders_.end(), index, [](int64_t i, const Folder& f) {
        return i < f.first;
      });
  return static_cast<size_t>(after - folders_.begin()) - 1;
}

void FolderListing::add_folder(std::string path, int64_t modified) {
  folders_.push_back({std::move(path), modified, size()});
}

void FolderListing::add_file(std::string_view name) {
  offsets_.push_back(names_.size());
  names_.append(name).push_back('\0');
}

// A line per folder ("time files path", zero-ended), then all names as they are in memory.
void FolderListing::save(const std::string& file) const {
  const std::string temporary = file + ".partial";
  std::ofstream out(temporary, std::ios::binary);
  out << kListingMagic << folders_.size() << '\n';
  for (size_t i = 0; i < folders_.size(); ++i) {
    const int64_t last = i + 1 < folders_.size() ? folders_[i + 1].first : size();
    out << folders_[i].modified << ' ' << last - folders_[i].first << ' ' << folders_[i].path
        << '\0';
  }
  out.write(names_.data(), static_cast<std::streamsize>(names_.size()));
  out.close();
  std::error_code ignored;  // no cache is no failure
  if (out) {
    std::filesystem::rename(temporary, file, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

bool FolderListing::load(const std::string& file, const std::string& root) {
  std::ifstream in(file, std::ios::binary);
  std::string magic(kListingMagic.size(), ' ');
  size_t count = 0;
  if (!in.read(magic.data(), static_cast<std::streamsize>(magic.size())) || magic != kListingMagic ||
      !(in >> count) || in.get() != '\n') {
    return false;
  }
  FolderListing listing;
  std::vector<int64_t> files;
  for (size_t i = 0; i < count; ++i) {
    int64_t time = 0, number = 0;
    std::string path;
    if (!(in >> time >> number) || number < 0 || in.get() != ' ' || !std::getline(in, path, '\0')) {
      return false;
    }
    struct stat status {};
    const std::string full = path.empty() ? root : root + "/" + path;
    if (::stat(full.c_str(), &status) != 0 || modified(status) != time) return false;
    listing.add_folder(std::move(path), time);
    files.push_back(number);
  }
  const std::string names((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    listing.folders_[i].first = listing.size();
    for (int64_t k = 0; k < files[i]; ++k) {
      const size_t end = names.find('\0', at);
      if (end == std::string::npos) return false;
      listing.add_file({names.data() + at, end - at});
      at = end + 1;
    }
  }
  if (at != names.size()) return false;
  *this = std::move(listing);
  return true;
}

FolderListing list_images(const std::string& root, const std::string& cache_folder) {
  if (cache_folder.empty()) return scan(root);
  std::error_code error;
  const auto absolute = std::filesystem::absolute(root, error).lexically_normal().string();
  const std::string file =
      fmt::format("{}/listing-{:016x}.cache", cache_folder, std::hash<std::string>{}(absolute));
  FolderListing listing;
  if (listing.load(file, root)) return listing;
  listing = scan(root);
  std::filesystem::create_directories(cache_folder, error);
  listing.save(file);
  return listing;
}

std::vector<std::string> list_folders(const std::string& root) {
  auto folders = read_folder(root).folders;
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace previt
