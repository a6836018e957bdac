#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "augment/io/folder_listing.h"
#include "error.h"

// A listing as bytes: Sizes, a line per folder, then all names and keys as they are in memory.

namespace previt {
namespace {

/// The first block.
struct Sizes {
  char magic[16] = {"previt listing4"};
  uint64_t folders = 0, met_again = 0, files = 0, keys = 0;  // how many
  uint64_t line_bytes = 0, name_bytes = 0;

  /// Whether the other blocks are no longer than `bytes`.
  bool fit(uint64_t bytes) const {
    const Sizes valid;
    for (const uint64_t size : {folders, met_again, files, line_bytes, name_bytes}) {
      if (size > bytes) return false;
    }
    return std::memcmp(magic, valid.magic, sizeof magic) == 0 && folders > 0 &&
           (keys == 0 || keys == files) && line_bytes <= bytes &&
           name_bytes <= bytes - line_bytes && keys <= (bytes - line_bytes - name_bytes) / 8 &&
           files <= name_bytes;
  }
};

std::string line_of(const FolderListing::Folder& folder, int64_t files) {
  const FolderStamp& stamp = folder.stamp;
  std::string line = fmt::format("{} {} {} {} {} {} {} {} {} {}",
                                 stamp.device,
                                 stamp.inode,
                                 stamp.modified,
                                 stamp.changed,
                                 stamp.bytes,
                                 stamp.links,
                                 files,
                                 folder.own ? 1 : 0,
                                 folder.unread.count,
                                 folder.path);
  line.push_back('\0');
  return line + folder.unread.example + '\0';
}

/// Reads such a file piece by piece. `good` becomes false past its end, or at anything unexpected.
struct Parser {
  std::string_view rest;
  bool good = true;

  template <class Number>
  Number number(char end) {
    Number value{};
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    good = good && error == std::errc() && at < rest.data() + rest.size() && *at == end;
    if (good) rest.remove_prefix(static_cast<size_t>(at - rest.data()) + 1);
    return value;
  }

  std::string_view text() {
    const size_t end = rest.find('\0');
    good = good && end != std::string_view::npos;
    if (!good) return {};
    const std::string_view found = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return found;
  }

  FolderListing::Folder folder(int64_t& files) {
    FolderListing::Folder folder;
    folder.stamp.device = number<uint64_t>(' ');
    folder.stamp.inode = number<uint64_t>(' ');
    folder.stamp.modified = number<int64_t>(' ');
    folder.stamp.changed = number<int64_t>(' ');
    folder.stamp.bytes = number<int64_t>(' ');
    folder.stamp.links = number<int64_t>(' ');
    files = number<int64_t>(' ');
    folder.own = number<int>(' ') == 1;
    folder.unread.count = number<int64_t>(' ');
    folder.path = text();
    folder.unread.example = text();
    return folder;
  }
};

bool unchanged(const std::vector<FolderListing::Folder>& folders, const std::string& root) {
  for (const auto& folder : folders) {
    const auto stamp = folder_stamp(folder.path.empty() ? root : root + "/" + folder.path);
    if (!stamp || *stamp != folder.stamp) return false;
  }
  return true;
}

}  // namespace

void FolderListing::write(const Put& put) const {
  std::string lines;
  for (size_t i = 0; i < folders_.size(); ++i) lines += line_of(folders_[i], files_in(i));
  for (const auto& folder : met_again_) lines += line_of(folder, 0);
  const Sizes sizes{.folders = folders_.size(),
                    .met_again = met_again_.size(),
                    .files = offsets_.size(),
                    .keys = keys_.size(),
                    .line_bytes = lines.size(),
                    .name_bytes = names_.size()};
  put(&sizes, sizeof sizes);
  put(lines.data(), lines.size());
  put(names_.data(), names_.size());
  put(keys_.data(), keys_.size() * sizeof(uint64_t));
}

bool FolderListing::parse_folders(const std::string& text,
                                  uint64_t folders,
                                  uint64_t met_again,
                                  uint64_t files) {
  Parser parser{text};
  int64_t in_folder = 0;
  uint64_t all = 0;
  for (uint64_t i = 0; parser.good && i < folders; ++i) {
    folders_.push_back(parser.folder(in_folder));
    folders_.back().first = static_cast<int64_t>(all);
    parser.good = parser.good && in_folder >= 0 && static_cast<uint64_t>(in_folder) <= files - all;
    if (parser.good) all += static_cast<uint64_t>(in_folder);
  }
  for (uint64_t i = 0; parser.good && i < met_again; ++i) {
    met_again_.push_back(parser.folder(in_folder));
  }
  return parser.good && parser.rest.empty() && all == files;
}

bool FolderListing::read(const Get& get, uint64_t bytes) {
  Sizes sizes;
  if (bytes < sizeof sizes || !get(&sizes, sizeof sizes) || !sizes.fit(bytes - sizeof sizes)) {
    return false;
  }
  *this = {};
  std::string lines(sizes.line_bytes, '\0');
  names_.resize(sizes.name_bytes);
  keys_.resize(sizes.keys);
  if (!get(lines.data(), lines.size()) || !get(names_.data(), names_.size()) ||
      !get(keys_.data(), keys_.size() * sizeof(uint64_t)) ||
      !parse_folders(lines, sizes.folders, sizes.met_again, sizes.files)) {
    return false;
  }
  offsets_.reserve(sizes.files);
  size_t at = 0;
  for (; at < names_.size() && offsets_.size() < sizes.files; ++at) {
    offsets_.push_back(at);
    at = names_.find('\0', at);
    if (at == std::string::npos) return false;
  }
  return at == names_.size() && offsets_.size() == sizes.files;
}

void FolderListing::save(const std::string& file) const {
  const std::string temporary = file + ".partial";
  std::ofstream out(temporary, std::ios::binary);
  write([&](const void* data, uint64_t bytes) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  });
  out.close();
  std::error_code ignored;  // a missing cache is no failure
  if (out) {
    std::filesystem::rename(temporary, file, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

bool FolderListing::load(const std::string& file, const std::string& root) {
  std::ifstream in(file, std::ios::binary);
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(file, error);
  if (error) return false;
  const auto get = [&](void* data, uint64_t count) -> bool {
    return !!in.read(static_cast<char*>(data), static_cast<std::streamsize>(count));
  };
  FolderListing listing;
  if (!listing.read(get, bytes) || in.peek() != EOF ||
      listing.keys_.size() != listing.offsets_.size() || !unchanged(listing.folders_, root) ||
      !unchanged(listing.met_again_, root)) {
    return false;
  }
  *this = std::move(listing);
  return true;
}

}  // namespace previt
