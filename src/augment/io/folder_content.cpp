#include "augment/io/folder_content.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <memory>

#include "error.h"

namespace previt {
namespace {

constexpr std::string_view kSheet = "contact_sheet.png";

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  std::string lower(word);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(words.begin(), words.end(), lower) != words.end();
}

/// Whether a name ends in one of these, which are at most four letters long.
template <size_t N>
bool ends_in(std::string_view name, const std::array<std::string_view, N>& endings) {
  const auto dot = name.rfind('.');
  return dot != std::string_view::npos && name.size() - dot <= 5 &&
         is_one_of(name.substr(dot + 1), endings);
}

bool is_image(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kEndings = {
      "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "tif", "tiff"};
  return ends_in(name, kEndings);
}

bool is_unread_picture(std::string_view name) {
  static constexpr std::array<std::string_view, 15> kEndings = {"heic",
                                                                "heif",
                                                                "gif",
                                                                "avif",
                                                                "jp2",
                                                                "jxl",
                                                                "dng",
                                                                "cr2",
                                                                "cr3",
                                                                "nef",
                                                                "arw",
                                                                "psd",
                                                                "exr",
                                                                "tga",
                                                                "ppm"};
  return ends_in(name, kEndings);
}

void add_unread(UnreadPictures& all, const char* name) {
  if (all.count++ == 0 || name < all.example) all.example = name;
}

/// Folders that macOS, Windows, Linux, Jupyter and network disks create on their own.
bool is_junk(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kJunk = {"__macosx",
                                                             "@eadir",
                                                             "@tmp",
                                                             "@recycle",
                                                             "@recently-snapshot",
                                                             "#recycle",
                                                             "#snapshot",
                                                             "$recycle.bin",
                                                             "system volume information",
                                                             "lost+found",
                                                             "network trash folder"};
  return name.front() == '.' || is_one_of(name, kJunk);
}

FolderStamp stamp_of(const struct stat& status) {
  const auto nanoseconds = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .modified = nanoseconds(status.st_mtim),
          .changed = nanoseconds(status.st_ctim),
          .bytes = status.st_size,
          .links = static_cast<int64_t>(status.st_nlink)};
}

// 0 on file systems that don't number their files: these give 0 or all ones.
uint64_t file_key(uint64_t device, uint64_t inode) {
  const bool known = inode != 0 && inode != UINT32_MAX && inode != UINT64_MAX;
  return known ? inode ^ (device * 0x9E3779B97F4A7C15) : 0;
}

/// Names that tell that PreViT wrote a folder.
struct Traces {
  bool metrics = false, recipe = false, attention = false, listing = false, lock = false;

  void note(std::string_view name) {
    listing |= name.starts_with("listing-") && name.ends_with(".cache");
    metrics |= name == "metrics.jsonl";
    recipe |= name == "recipe.yaml";
    lock |= name == ".lock";
    attention |= name == "attention.h5" || name == "attention.h5.partial" || name == kSheet;
  }
};

bool has_folder(const FolderContent& content, std::string_view name) {
  return std::any_of(content.folders.begin(), content.folders.end(), [&](const auto& folder) {
    return folder.name == name;
  });
}

void drop_folders(FolderContent& content, std::string_view one, std::string_view other) {
  std::erase_if(content.folders,
                [&](const auto& folder) { return folder.name == one || folder.name == other; });
  content.own = true;
}

void drop_file(FolderContent& content, std::string_view name) {
  for (size_t i = 0; i < content.files.size(); ++i) {
    if (content.file(i) != name) continue;
    content.files.erase(content.files.begin() + static_cast<std::ptrdiff_t>(i));
    content.keys.erase(content.keys.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

// Whether the folder is what embed --patch-pca writes: a contact sheet, and otherwise only
// 000000_a.png, 000001_b.png and so on.
bool only_patch_pictures(const FolderContent& content) {
  constexpr size_t kDigits = 6;
  if (content.files.size() < 2 || content.file(content.files.size() - 1) != kSheet) return false;
  const size_t pictures = content.files.size() - 1;
  int next = 0;
  for (size_t i = 0; i < pictures; ++i) {
    const std::string_view name = content.file(i);
    int number = -1;
    const auto [end, error] =
        std::from_chars(name.data(), name.data() + std::min(kDigits, name.size()), number);
    const bool ours = error == std::errc() && end == name.data() + kDigits &&
                      name.size() > kDigits && name[kDigits] == '_' && name.ends_with(".png") &&
                      (number == next || (i > 0 && number == next - 1));
    if (!ours) return false;
    next = number + 1;
  }
  return true;
}

// Leaves out only what PreViT wrote itself; a user's images beside it stay.
void leave_out_own(FolderContent& content, const Traces& traces) {
  const bool only_lock = traces.lock && content.files.empty() && content.folders.empty();
  content.own = traces.listing || only_lock;  // only a lock: a run that has just begun
  if (traces.metrics && (traces.recipe || has_folder(content, "checkpoints"))) {
    drop_folders(content, "previews", "checkpoints");
  }
  if (traces.attention && has_folder(content, "overlays") && has_folder(content, "masks")) {
    drop_folders(content, "overlays", "masks");
    drop_file(content, kSheet);
  }
  if (only_patch_pictures(content)) {
    content.files.clear();
    content.keys.clear();
    content.own = true;
  }
}

void sort_entries(FolderContent& content) {
  std::sort(content.folders.begin(), content.folders.end(), [](const auto& a, const auto& b) {
    return a.name < b.name;
  });
  std::vector<std::pair<uint32_t, uint64_t>> files(content.files.size());
  for (size_t i = 0; i < files.size(); ++i) files[i] = {content.files[i], content.keys[i]};
  const char* names = content.names.data();
  std::sort(files.begin(), files.end(), [names](const auto& a, const auto& b) {
    return std::strcmp(names + a.first, names + b.first) < 0;
  });
  for (size_t i = 0; i < files.size(); ++i) {
    content.files[i] = files[i].first;
    content.keys[i] = files[i].second;
  }
}

}  // namespace

std::optional<FolderStamp> folder_stamp(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return stamp_of(status);
}

FolderContent read_folder(const std::string& path) {
  FolderContent content;
  Traces traces;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  require_system(folder != nullptr, path + ": can't be listed");
  struct stat status {};
  ::fstat(::dirfd(folder.get()), &status);
  content.stamp = stamp_of(status);
  while (const dirent* entry = ::readdir(folder.get())) {
    traces.note(entry->d_name);
    if (is_junk(entry->d_name)) continue;
    int type = entry->d_type;
    uint64_t device = content.stamp.device, inode = entry->d_ino;
    bool link = type == DT_LNK;
    // Only links, and file systems that give no types, cost a stat call.
    if (type == DT_LNK || type == DT_UNKNOWN) {
      const int at = ::dirfd(folder.get());
      link = link || (::fstatat(at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                      S_ISLNK(status.st_mode));
      if (::fstatat(at, entry->d_name, &status, 0) != 0) continue;
      type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
      device = status.st_dev;
      inode = status.st_ino;
    }
    if (type == DT_DIR) content.folders.push_back({entry->d_name, link});
    if (type != DT_REG) continue;
    if (!is_image(entry->d_name)) {
      if (is_unread_picture(entry->d_name)) add_unread(content.unread, entry->d_name);
      continue;
    }
    content.files.push_back(static_cast<uint32_t>(content.names.size()));
    content.keys.push_back(file_key(device, inode));
    content.names.append(entry->d_name).push_back('\0');
  }
  sort_entries(content);
  leave_out_own(content, traces);
  return content;
}

}  // namespace previt
