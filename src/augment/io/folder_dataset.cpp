#include "augment/io/folder_dataset.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "augment/io/file_bytes.h"
#include "augment/io/folder_listing.h"
#include "augment/io/image_decoder.h"
#include "error.h"
#include "utf8.h"

namespace previt {
namespace {

/// One listed folder and the class of each folder in it.
struct Part {
  std::string root, prefix;  // the prefix is shown in names
  FolderListing listing;
  std::vector<int64_t> labels;  // per folder of the listing
  int64_t first = 0;            // number of its first sample
};

class FolderDataset final : public Dataset {
 public:
  FolderDataset(std::vector<Part> parts, std::vector<std::string> classes)
      : parts_(std::move(parts)), classes_(std::move(classes)) {
    for (auto& name : classes_) name = utf8_or_escaped(name);  // as every file will have them
    for (auto& part : parts_) {
      part.first = size_;
      size_ += part.listing.size();
    }
  }

  int64_t size() const override { return size_; }
  std::unique_ptr<SampleReader> reader() const override;
  std::vector<std::string> class_names() const override { return classes_; }
  int64_t label(int64_t index) const override {
    const Part& part = part_of(index);
    return part.labels[part.listing.folder_of(index - part.first)];
  }
  std::string name(int64_t index) const override {
    const Part& part = part_of(index);
    return part.prefix + part.listing.path(index - part.first);
  }
  std::string path(int64_t index) const {
    const Part& part = part_of(index);
    return part.root + "/" + part.listing.path(index - part.first);
  }

 private:
  const Part& part_of(int64_t index) const {
    const bool second = parts_.size() > 1 && index >= parts_[1].first;
    return parts_[second ? 1 : 0];
  }

  std::vector<Part> parts_;
  std::vector<std::string> classes_;
  int64_t size_ = 0;
};

class FolderReader final : public SampleReader {
 public:
  explicit FolderReader(const FolderDataset& dataset) : dataset_(dataset) {}
  ImageSize open(int64_t index) override {
    bytes_ = file_.read(dataset_.path(index));
    return decoder_.open(bytes_);
  }
  void decode(const Box& box, int64_t reduction, Region& region) override {
    decoder_.decode(box, reduction, region);
  }
  std::span<const uint8_t> file() const override { return {bytes_.data, bytes_.size}; }

 private:
  const FolderDataset& dataset_;
  FileBytes file_;
  Bytes bytes_;
  ImageDecoder decoder_;
};

std::unique_ptr<SampleReader> FolderDataset::reader() const {
  return std::make_unique<FolderReader>(*this);
}

/// The folder inside `root` that holds a split, or "".
std::string split_folder(const std::string& root, const std::string& split) {
  const std::vector<std::string> names =
      split == "train" ? std::vector<std::string>{"train"}
                       : std::vector<std::string>{"val", "validation", "test"};
  for (const auto& name : names) {
    if (std::filesystem::is_directory(root + "/" + name)) return name;
  }
  return "";
}

std::string top_folder(const std::string& path) { return path.substr(0, path.find('/')); }

/// Whether every image lies in a folder below the root.
bool has_classes(const FolderListing& listing) {
  const auto& folders = listing.folders();
  const int64_t in_root = folders.size() > 1 ? folders[1].first : listing.size();
  return in_root == 0;
}

std::vector<std::string> classes_of(const std::string& root,
                                    const std::vector<std::string>& splits,
                                    const std::vector<Part>& parts) {
  if (!std::all_of(
          parts.begin(), parts.end(), [](const Part& part) { return has_classes(part.listing); })) {
    return {};
  }
  std::set<std::string> names;
  if (splits.empty()) {  // only folders with images in them
    const auto& listing = parts[0].listing;
    const auto& folders = listing.folders();
    for (size_t i = 0; i < folders.size(); ++i) {
      const int64_t last = i + 1 < folders.size() ? folders[i + 1].first : listing.size();
      if (last > folders[i].first) names.insert(top_folder(folders[i].path));
    }
  }
  for (const auto& split : splits) {
    for (const auto& name : list_folders(root + "/" + split_folder(root, split)))
      names.insert(name);
  }
  return {names.begin(), names.end()};
}

void set_labels(Part& part, const std::vector<std::string>& classes) {
  for (const auto& folder : part.listing.folders()) {
    const auto name = top_folder(folder.path);
    const auto it = std::lower_bound(classes.begin(), classes.end(), name);
    const bool known = it != classes.end() && *it == name;
    part.labels.push_back(known ? it - classes.begin() : -1);
  }
}

}  // namespace

std::vector<std::string> folder_splits(const std::string& root) {
  std::vector<std::string> splits;
  for (const char* split : {"train", "val"}) {
    if (!split_folder(root, split).empty()) splits.push_back(split);
  }
  return splits;
}

std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     const std::string& split,
                                     const std::string& cache_folder) {
  const auto splits = folder_splits(root);
  std::vector<Part> parts;
  if (splits.empty()) {
    require(split != "val", "{}: has no val/ or test/ folder", root);
    parts.push_back({root, "", list_images(root, cache_folder), {}});
  }
  for (const auto& name : splits) {
    if (split != "all" && split != name) continue;
    const auto folder = split_folder(root, name);
    parts.push_back(
        {root + "/" + folder, folder + "/", list_images(root + "/" + folder, cache_folder), {}});
  }
  require(
      !parts.empty(), "{}: has no {} folder", root, split == "val" ? "val/ or test/" : "train/");
  int64_t total = 0;
  for (const auto& part : parts) total += part.listing.size();
  require(total > 0, "{}: holds no images (JPEG, PNG, WebP, BMP, TIFF)", parts[0].root);

  const auto classes = classes_of(root, splits, parts);
  for (auto& part : parts) set_labels(part, classes);
  return std::make_shared<FolderDataset>(std::move(parts), classes);
}

}  // namespace previt
