#include "augment/io/folder_data.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "augment/io/folder_layout.h"
#include "error.h"
#include "first_few.h"

namespace previt {
namespace {

using Names = std::set<std::string>;

std::string top_folder(const std::string& path) { return path.substr(0, path.find('/')); }

/// `path` relative to `below`; "" if it isn't inside.
std::string seen_from(const std::string& below, const std::string& path) {
  return path.starts_with(below) ? path.substr(below.size()) : "";
}

/// The folders of a listing that hold images, as paths relative to `below`; "" is `below` itself.
std::vector<std::string> image_folders(const FolderListing& listing, const std::string& below) {
  std::vector<std::string> paths;
  for (size_t i = 0; i < listing.folders().size(); ++i) {
    if (listing.files_in(i) > 0) paths.push_back(seen_from(below, listing.folders()[i].path));
  }
  return paths;
}

/// The folder that all images lie below, in subfolders ("animals/"); "" if there is none.
std::string wrapper_of(const FolderListing& listing) {
  std::string below;
  while (true) {
    const auto paths = image_folders(listing, below);
    if (paths.empty()) return below;
    const std::string top = top_folder(paths.front());
    const bool wrapped = std::all_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return path != top && top_folder(path) == top;
    });
    if (!wrapped) return below;
    below += top + "/";
  }
}

/// Whether every image lies in a class folder.
bool has_classes(const FolderPart& part) {
  const auto paths = image_folders(part.listing, part.classes_below);
  return std::find(paths.begin(), paths.end(), "") == paths.end();
}

Names classes_of(const FolderPart& part) {
  Names names;
  for (const auto& path : image_folders(part.listing, part.classes_below)) {
    if (!path.empty()) names.insert(top_folder(path));
  }
  return names;
}

/// Of the parts that have classes: an unlabelled split takes none from the other.
std::vector<std::string> shared_classes(const std::vector<FolderPart>& parts) {
  Names names;
  for (const auto& part : parts) {
    if (has_classes(part)) names.merge(classes_of(part));
  }
  return {names.begin(), names.end()};
}

void set_labels(FolderPart& part, const std::vector<std::string>& classes) {
  for (const auto& folder : part.listing.folders()) {
    const std::string name = top_folder(seen_from(part.classes_below, folder.path));
    const auto it = std::lower_bound(classes.begin(), classes.end(), name);
    const bool known = it != classes.end() && *it == name;
    part.labels.push_back(known ? it - classes.begin() : -1);
  }
}

FolderPart list_part(const std::string& root,
                     const std::string& folder,
                     const std::string& cache_folder) {
  FolderPart part;
  part.root = folder.empty() ? root : root + "/" + folder;
  part.prefix = folder.empty() ? "" : folder + "/";
  part.listing = list_images(part.root, cache_folder);
  part.classes_below = wrapper_of(part.listing);
  return part;
}

/// A folder that is a class in the other split is a class here too, even if it is the only one.
void keep_classes_of_other(FolderPart& part, const FolderPart& other) {
  if (classes_of(other).contains(top_folder(part.classes_below))) part.classes_below.clear();
}

/// How many images of `val` are the same files as images of `train`.
int64_t shared_images(const FolderPart& train, const FolderPart& val) {
  // Only the smaller split is sorted; its twins are looked for in one pass over the other.
  std::vector<std::pair<uint64_t, int64_t>> keys;
  for (int64_t i = 0; i < val.listing.size(); ++i) {
    if (val.listing.key(i) != 0) keys.emplace_back(val.listing.key(i), i);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<int64_t> twins(keys.size(), -1);
  for (int64_t i = 0; i < train.listing.size(); ++i) {
    const uint64_t key = train.listing.key(i);
    auto at = std::lower_bound(keys.begin(), keys.end(), std::pair(key, int64_t{0}));
    for (; at != keys.end() && at->first == key; ++at) {
      int64_t& twin = twins[static_cast<size_t>(at - keys.begin())];
      twin = twin < 0 ? i : twin;
    }
  }
  int64_t shared = 0;
  for (size_t k = 0; k < keys.size(); ++k) {
    if (twins[k] < 0) continue;
    // Different files may have the same key by chance.
    std::error_code error;
    const auto train_path = train.path(twins[k]), val_path = val.path(keys[k].second);
    shared += std::filesystem::equivalent(train_path, val_path, error) ? 1 : 0;
  }
  return shared;
}

FolderListing without_folders_of(const FolderListing& listing, const FolderListing& other) {
  FolderIdentities there;
  for (const auto& folder : other.folders()) there.insert(folder.stamp.identity());
  return listing.without(
      [&](const auto& folder) { return there.contains(folder.stamp.identity()); });
}

/// Class folders without images, except those that hold PreViT's own outputs.
std::vector<std::string> empty_folders(const FolderPart& part) {
  const Names classes = classes_of(part);
  Names empty, own;
  for (const auto& folder : part.listing.folders()) {
    const std::string name = top_folder(seen_from(part.classes_below, folder.path));
    if (folder.own) own.insert(name);
    if (!name.empty() && !classes.contains(name)) empty.insert(name);
  }
  for (const auto& name : own) empty.erase(name);
  return {empty.begin(), empty.end()};
}

std::string split_line(const std::string& root, const FolderLayout& layout) {
  std::vector<std::string> parts;
  if (!layout.train.empty()) parts.push_back(layout.train + "/ is the training split");
  if (!layout.val.empty()) parts.push_back(layout.val + "/ is the validation split");
  std::vector<std::string> unused;
  for (const auto& folder : layout.unused) unused.push_back(folder + "/");
  if (layout.unused_images > 0) {
    unused.push_back(fmt::format("{} image files beside them", layout.unused_images));
  }
  if (!unused.empty()) parts.push_back("not used: " + first_few(unused));
  return fmt::format("{}: {}", root, fmt::join(parts, "; "));
}

/// How many images repeat the file of another one, through links of any kind.
int64_t repeated_images(const FolderListing& listing) {
  std::vector<uint64_t> keys;
  keys.reserve(static_cast<size_t>(listing.size()));
  for (int64_t i = 0; i < listing.size(); ++i) {
    if (listing.key(i) != 0) keys.push_back(listing.key(i));
  }
  std::sort(keys.begin(), keys.end());
  return std::distance(std::unique(keys.begin(), keys.end()), keys.end());
}

void tell_of_listing(FolderData& data, const FolderPart& part) {
  std::vector<std::string> own, again;
  for (const auto& folder : part.listing.folders()) {
    if (folder.own) own.push_back(folder.path.empty() ? "." : folder.path);
  }
  for (const auto& folder : part.listing.met_again()) again.push_back(folder.path);
  std::sort(again.begin(), again.end());
  if (!own.empty()) {
    data.lines.push_back(
        fmt::format("{}: what PreViT made is no data and left out: {}", part.root, first_few(own)));
  }
  if (!again.empty()) {
    data.lines.push_back(fmt::format(
        "{}: every folder counts once; links to one that is listed already, or holds it: {}",
        part.root,
        first_few(again)));
  }
}

void tell_of_unread(FolderData& data, const FolderPart& part) {
  UnreadPictures all;
  for (const auto& folder : part.listing.folders()) {
    if (folder.unread.count > 0 && all.count == 0) {
      all.example =
          folder.path.empty() ? folder.unread.example : folder.path + "/" + folder.unread.example;
    }
    all.count += folder.unread.count;
  }
  if (all.count == 0) return;
  data.warnings.push_back(fmt::format(
      "{}: {} pictures are of kinds that aren't read, as {}; convert them to JPEG or PNG",
      part.root,
      all.count,
      all.example));
}

void tell_of_repeats(FolderData& data, const FolderPart& part) {
  const int64_t repeated = repeated_images(part.listing);
  if (repeated == 0) return;
  data.warnings.push_back(
      fmt::format("{}: {} of {} images are files that count already, under another name (links)",
                  part.root,
                  repeated,
                  part.listing.size()));
}

void tell_of_classes(FolderData& data, const FolderPart& part, bool trains) {
  if (!part.classes_below.empty()) {
    data.lines.push_back(fmt::format("{}: all images lie below {}, whose folders are the classes",
                                     part.root,
                                     part.classes_below));
  }
  if (!trains) return;
  if (const auto empty = empty_folders(part); !empty.empty()) {
    data.warnings.push_back(
        fmt::format("{}: no images in {}; a class without any can't be learned and isn't counted",
                    part.root,
                    first_few(empty)));
  }
}

/// Lists both splits, whichever is asked for, because they share their classes.
FolderData read_splits(const std::string& root,
                       const FolderLayout& layout,
                       Split split,
                       const std::string& cache_folder) {
  FolderData data;
  data.lines.push_back(split_line(root, layout));
  for (const auto& folder : {layout.train, layout.val}) {
    if (!folder.empty()) data.parts.push_back(list_part(root, folder, cache_folder));
  }
  if (data.parts.size() < 2) return data;
  FolderPart &train = data.parts[0], &val = data.parts[1];
  keep_classes_of_other(val, train);
  keep_classes_of_other(train, val);
  if (const int64_t shared = shared_images(train, val); shared > 0) {
    data.warnings.push_back(
        fmt::format("{}: {} of the {} validation images are files of the training split too",
                    root,
                    shared,
                    val.listing.size()));
  }
  if (split == Split::all) val.listing = without_folders_of(val.listing, train.listing);
  return data;
}

}  // namespace

FolderData read_folder_data(const std::string& root, Split split, const std::string& cache_folder) {
  const FolderLayout layout = find_layout(root);
  FolderData data;
  require(split != Split::val || !layout.val.empty(), "{}: has no val/ or test/ folder", root);
  if (layout.divided()) {
    require(split != Split::train || !layout.train.empty(),
            "{}: has no train/ folder, only a validation split ({}/)",
            root,
            layout.val);
    data = read_splits(root, layout, split, cache_folder);
  } else {
    data.parts.push_back(list_part(root, "", cache_folder));
  }
  data.classes = shared_classes(data.parts);
  if (layout.unclear) {
    data.warnings.push_back(
        fmt::format("{}: {} look like splits, not classes; their images have no labels",
                    root,
                    first_few(data.classes)));
    data.classes.clear();
  }
  if (data.parts.size() == 2 && split != Split::all) {
    data.parts.erase(split == Split::train ? data.parts.end() - 1 : data.parts.begin());
  }
  if (!layout.alike.empty() && !data.classes.empty()) {
    data.lines.push_back(fmt::format(
        "{}: {} hold the same folders and are taken as the classes; if they are splits, name "
        "them train/ and val/",
        root,
        first_few(layout.alike)));
  }
  for (auto& part : data.parts) {
    const bool trains = &part == &data.parts.front() && split != Split::val;
    tell_of_listing(data, part);
    tell_of_unread(data, part);
    tell_of_repeats(data, part);
    const auto classes = has_classes(part) ? data.classes : std::vector<std::string>();
    if (!classes.empty()) tell_of_classes(data, part, trains);
    set_labels(part, classes);
  }
  return data;
}

}  // namespace previt
