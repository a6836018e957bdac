#include "augment/io/folder_dataset.h"

#include <mutex>
#include <set>

#include "augment/dataset/cifar10.h"
#include "augment/io/folder_data.h"
#include "augment/io/folder_layout.h"
#include "augment/io/image_file.h"
#include "communicator.h"
#include "error.h"
#include "failure.h"
#include "log.h"
#include "utf8.h"

namespace previt {
namespace {

class FolderDataset final : public Dataset {
 public:
  FolderDataset(std::vector<FolderPart> parts, std::vector<std::string> classes)
      : parts_(std::move(parts)), classes_(std::move(classes)) {
    for (auto& name : classes_) name = utf8_or_escaped(name);  // as all outputs will write them
    for (auto& part : parts_) {
      part.first = size_;
      part.listing.forget_keys();
      size_ += part.listing.size();
    }
  }

  int64_t size() const override { return size_; }
  std::unique_ptr<SampleReader> reader() const override;
  std::vector<std::string> class_names() const override { return classes_; }
  int64_t label(int64_t index) const override {
    const FolderPart& part = part_of(index);
    return part.labels[part.listing.folder_of(index - part.first)];
  }
  std::string name(int64_t index) const override {
    const FolderPart& part = part_of(index);
    return part.prefix + part.listing.path(index - part.first);
  }
  std::string path(int64_t index) const {
    const FolderPart& part = part_of(index);
    return part.path(index - part.first);
  }

 private:
  const FolderPart& part_of(int64_t index) const {
    const bool second = parts_.size() > 1 && index >= parts_[1].first;
    return parts_[second ? 1 : 0];
  }

  std::vector<FolderPart> parts_;
  std::vector<std::string> classes_;
  int64_t size_ = 0;
};

std::unique_ptr<SampleReader> FolderDataset::reader() const {
  return image_file_reader([this](int64_t index) { return path(index); });
}

// Each split of a folder is opened separately, but a user should read a line only once.
bool said_before(const std::string& line) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  return !said.insert(line).second;
}

void tell(const std::vector<std::string>& lines, const std::vector<std::string>& warnings) {
  for (const auto& line : lines) {
    if (!said_before(line)) log_line(line);
  }
  for (const auto& line : warnings) {
    if (!said_before(line)) log_warning(line);
  }
}

void require_images(const FolderData& data, const std::string& root) {
  int64_t total = 0;
  for (const auto& part : data.parts) total += part.listing.size();
  if (total > 0) return;
  if (const std::string python = cifar_pickles(root); !python.empty()) {
    fail(
        "{}: holds CIFAR as Python pickles; wanted is CIFAR-10's binary version "
        "(cifar-10-binary.tar.gz)",
        python);
  }
  fail("{}: holds no images (JPEG, PNG, WebP, BMP, TIFF)", data.parts[0].root);
}

}  // namespace

std::set<Split> folder_splits(const std::string& root) {
  const FolderLayout layout = find_layout(root);
  std::set<Split> splits;
  if (!layout.train.empty()) splits.insert(Split::train);
  if (!layout.val.empty()) splits.insert(Split::val);
  return splits;
}

std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     Split split,
                                     const std::string& cache_folder) {
  const bool together = !cache_folder.empty();
  FolderData data;
  const auto read = [&] {
    const Busy busy;
    data = read_folder_data(root, split, cache_folder);
    tell(data.lines, data.warnings);
    require_images(data, root);
  };
  if (together) {
    do_on_first_rank(read);
    share(data, root);
  } else {
    read();
  }
  return std::make_shared<FolderDataset>(std::move(data.parts), std::move(data.classes));
}

}  // namespace previt
