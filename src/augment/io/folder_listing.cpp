#include "augment/io/folder_listing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>

#include "error.h"
#include "in_threads.h"

namespace previt {
namespace {

std::string inside(const std::string& root, const std::string& path) {
  return path.empty() ? root : root + "/" + path;
}

/// Reads all folders of a level by several threads, since network file systems answer slowly. Gives
/// nothing for a folder that has gone since its name was read.
std::vector<std::optional<FolderContent>> read_folders(const std::string& root,
                                                       const std::vector<std::string>& paths) {
  std::vector<std::optional<FolderContent>> contents(paths.size());
  std::vector<std::exception_ptr> errors(paths.size());
  std::atomic<size_t> next = 0;
  in_threads(std::min<int64_t>(8, std::ssize(paths)), [&](int64_t) {
    for (size_t i = next++; i < paths.size(); i = next++) {
      const std::string path = inside(root, paths[i]);
      try {
        contents[i] = read_folder(path);
      } catch (...) {
        if (paths[i].empty() || folder_stamp(path)) errors[i] = std::current_exception();
      }
    }
  });
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return contents;
}

/// Removes from `links` those that lead to folders already met, without reading these.
void drop_seen(const std::string& root,
               std::vector<std::string>& links,
               const FolderIdentities& seen,
               FolderListing& listing) {
  std::vector<std::string> unknown;
  for (auto& path : links) {
    const auto stamp = folder_stamp(inside(root, path));
    if (!stamp) continue;
    if (seen.contains(stamp->identity())) {
      listing.add_met_again(std::move(path), *stamp);
    } else {
      unknown.push_back(std::move(path));
    }
  }
  links = std::move(unknown);
}

/// Lists the folders at their real paths first, then, level by level, those that links lead to.
FolderListing scan(const std::string& root) {
  FolderListing listing;
  std::map<std::string, FolderContent> all;
  FolderIdentities seen = holders_of(root);
  std::vector<std::string> level = {""}, links;
  while (!level.empty() || !links.empty()) {
    if (level.empty()) {
      drop_seen(root, links, seen, listing);
      level.swap(links);
    }
    auto contents = read_folders(root, level);
    std::vector<std::string> below;
    for (size_t i = 0; i < level.size(); ++i) {
      if (!contents[i]) continue;
      if (!seen.insert(contents[i]->stamp.identity()).second) {
        listing.add_met_again(level[i], contents[i]->stamp);
        continue;
      }
      for (const auto& [name, link] : contents[i]->folders) {
        (link ? links : below).push_back(level[i].empty() ? name : level[i] + "/" + name);
      }
      all.emplace(level[i], std::move(*contents[i]));
    }
    level = std::move(below);
  }
  int64_t files = 0;
  uint64_t name_bytes = 0;
  for (const auto& [path, content] : all) {
    files += static_cast<int64_t>(content.files.size());
    name_bytes += content.names.size();
  }
  listing.reserve(files, name_bytes);
  for (auto& [path, content] : all) {
    listing.add_folder(path, content.stamp, content.own, content.unread);
    for (size_t i = 0; i < content.files.size(); ++i) {
      listing.add_file(content.file(i), content.keys[i]);
    }
    // Freed at once, so that the names of millions of files are in memory only once.
    content = {};
  }
  return listing;
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Whether a change after `listed` would show in the stamps. One within the same tick of the clock
/// would not, and a tick takes two seconds on some file systems with whole seconds.
bool would_show_changes(const FolderListing& listing, int64_t listed) {
  const auto shows = [&](const FolderListing::Folder& folder) {
    const int64_t changed = folder.stamp.changed;
    const int64_t tick = changed % 1'000'000'000 == 0 ? 2'100'000'000 : 100'000'000;
    return changed > 0 && changed + tick < listed;
  };
  return std::all_of(listing.folders().begin(), listing.folders().end(), shows) &&
         std::all_of(listing.met_again().begin(), listing.met_again().end(), shows);
}

}  // namespace

int64_t FolderListing::files_in(size_t folder) const {
  const bool last = folder + 1 == folders_.size();
  return (last ? size() : folders_[folder + 1].first) - folders_[folder].first;
}

std::string FolderListing::path(int64_t index) const {
  const auto& folder = folders_[folder_of(index)].path;
  const char* name = names_.data() + offsets_[static_cast<size_t>(index)];
  return folder.empty() ? name : folder + "/" + name;
}

size_t FolderListing::folder_of(int64_t index) const {
  const auto after =
      std::upper_bound(folders_.begin(), folders_.end(), index, [](int64_t i, const Folder& f) {
        return i < f.first;
      });
  return static_cast<size_t>(after - folders_.begin()) - 1;
}

void FolderListing::reserve(int64_t files, uint64_t name_bytes) {
  offsets_.reserve(offsets_.size() + static_cast<size_t>(files));
  keys_.reserve(keys_.size() + static_cast<size_t>(files));
  names_.reserve(names_.size() + name_bytes);
}

void FolderListing::add_folder(std::string path,
                               const FolderStamp& stamp,
                               bool own,
                               UnreadPictures unread) {
  folders_.push_back({std::move(path), stamp, size(), own, std::move(unread)});
}

void FolderListing::add_file(std::string_view name, uint64_t key) {
  offsets_.push_back(names_.size());
  keys_.push_back(key);
  names_.append(name).push_back('\0');
}

void FolderListing::add_met_again(std::string path, const FolderStamp& stamp) {
  met_again_.push_back({std::move(path), stamp});
}

FolderListing FolderListing::without(const std::function<bool(const Folder&)>& left_out) const {
  FolderListing rest;
  rest.met_again_ = met_again_;
  for (size_t f = 0; f < folders_.size(); ++f) {
    if (left_out(folders_[f])) continue;
    const Folder& folder = folders_[f];
    rest.add_folder(folder.path, folder.stamp, folder.own, folder.unread);
    for (int64_t i = folders_[f].first; i < folders_[f].first + files_in(f); ++i) {
      rest.add_file(names_.data() + offsets_[static_cast<size_t>(i)], key(i));
    }
  }
  return rest;
}

FolderIdentities holders_of(const std::string& root) {
  FolderIdentities found;
  for (std::string path = root + "/..";; path += "/..") {
    const auto stamp = folder_stamp(path);
    if (!stamp || !found.insert(stamp->identity()).second) return found;
  }
}

FolderListing list_images(const std::string& root, const std::string& cache_folder) {
  if (cache_folder.empty()) return scan(root);
  std::error_code error;
  const auto absolute = std::filesystem::absolute(root, error).lexically_normal().string();
  const std::string file =
      fmt::format("{}/listing-{:016x}.cache", cache_folder, std::hash<std::string>{}(absolute));
  FolderListing listing;
  if (listing.load(file, root)) return listing;
  const int64_t listed = now();
  listing = scan(root);
  if (!would_show_changes(listing, listed)) return listing;
  std::filesystem::create_directories(cache_folder, error);
  listing.save(file);
  return listing;
}

bool holds_images(const std::string& root) {
  FolderIdentities seen = holders_of(root);
  std::vector<std::string> open = {root};
  while (!open.empty()) {
    const std::string path = std::move(open.back());
    open.pop_back();
    const auto stamp = folder_stamp(path);
    if (!stamp || !seen.insert(stamp->identity()).second) continue;
    const FolderContent content = read_folder(path);
    if (!content.files.empty()) return true;
    for (auto folder = content.folders.rbegin(); folder != content.folders.rend(); ++folder) {
      open.push_back(path + "/" + folder->name);
    }
  }
  return false;
}

}  // namespace previt
