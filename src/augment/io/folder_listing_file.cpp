#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "augment/io/folder_listing.h"
#include "error.h"

// The file of a listing: two counts, a line per folder, then all names and keys as they are in
// memory.

namespace previt {
namespace {

constexpr std::string_view kListingMagic = "previt listing 2\n";

std::string line_of(const FolderListing::Folder& folder, int64_t files) {
  const FolderStamp& stamp = folder.stamp;
  std::string line = fmt::format("{} {} {} {} {} {} {} {} {}",
                                 stamp.device,
                                 stamp.inode,
                                 stamp.modified,
                                 stamp.changed,
                                 stamp.bytes,
                                 stamp.links,
                                 files,
                                 folder.own ? 1 : 0,
                                 folder.path);
  line.push_back('\0');
  return line;
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
    folder.path = text();
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

void FolderListing::save(const std::string& file) const {
  const std::string temporary = file + ".partial";
  std::ofstream out(temporary, std::ios::binary);
  out << kListingMagic << folders_.size() << ' ' << met_again_.size() << '\n';
  for (size_t i = 0; i < folders_.size(); ++i) out << line_of(folders_[i], files_in(i));
  for (const auto& folder : met_again_) out << line_of(folder, 0);
  out.write(names_.data(), static_cast<std::streamsize>(names_.size()));
  out.write(reinterpret_cast<const char*>(keys_.data()),
            static_cast<std::streamsize>(keys_.size() * sizeof(uint64_t)));
  out.close();
  std::error_code ignored;  // a missing cache is no failure
  if (out) {
    std::filesystem::rename(temporary, file, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

bool FolderListing::parse(const std::string& text) {
  if (!text.starts_with(kListingMagic)) return false;
  Parser parser{std::string_view(text).substr(kListingMagic.size())};
  const auto folders = parser.number<size_t>(' '), met_again = parser.number<size_t>('\n');
  std::vector<int64_t> files;
  for (size_t i = 0; parser.good && i < folders; ++i) {
    folders_.push_back(parser.folder(files.emplace_back()));
  }
  for (size_t i = 0; parser.good && i < met_again; ++i) {
    int64_t none = 0;
    met_again_.push_back(parser.folder(none));
  }
  for (size_t i = 0; parser.good && i < folders; ++i) {
    folders_[i].first = size();
    for (int64_t k = 0; parser.good && k < files[i]; ++k) add_file(parser.text(), 0);
  }
  if (folders == 0 || !parser.good || parser.rest.size() != keys_.size() * sizeof(uint64_t))
    return false;
  std::memcpy(keys_.data(), parser.rest.data(), parser.rest.size());
  return true;
}

bool FolderListing::load(const std::string& file, const std::string& root) {
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  FolderListing listing;
  if (!listing.parse(text) || !unchanged(listing.folders_, root) ||
      !unchanged(listing.met_again_, root)) {
    return false;
  }
  *this = std::move(listing);
  return true;
}

}  // namespace previt
