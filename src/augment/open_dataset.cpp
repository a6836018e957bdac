#include "augment/open_dataset.h"

#include <filesystem>

#include "augment/dataset/cifar10.h"
#include "augment/dataset/synthetic.h"
#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/folder_dataset.h"
#include "augment/io/pack_dataset.h"
#endif
#include "error.h"

namespace previt {
namespace {

const std::string kGenerated = "synthetic:";

std::shared_ptr<Dataset> open_images([[maybe_unused]] const std::string& path,
                                     [[maybe_unused]] Split split,
                                     [[maybe_unused]] const std::string& cache_folder) {
#ifdef PREVIT_WITH_IMAGE_IO
  if (std::filesystem::is_directory(path)) return open_folder(path, split, cache_folder);
  return open_pack(path, split);
#else
  fail("{}: this build reads CIFAR-10 batches and synthetic: only (PREVIT_WITH_IMAGE_IO is off)",
       path);
#endif
}

std::set<Split> image_splits([[maybe_unused]] const std::string& path) {
#ifdef PREVIT_WITH_IMAGE_IO
  if (std::filesystem::is_directory(path)) {
    const auto splits = folder_splits(path);
    return splits.empty() ? std::set{Split::train} : splits;
  }
  return pack_splits(path);
#else
  return {Split::train};
#endif
}

}  // namespace

std::shared_ptr<Dataset> open_dataset(const std::string& path,
                                      Split split,
                                      const std::string& cache_folder) {
  if (path.rfind(kGenerated, 0) == 0) {
    return make_synthetic(parse_synthetic(path.substr(kGenerated.size())), split);
  }
  require(std::filesystem::exists(path), "{}: there is no such file or folder", path);
  if (const auto cifar = cifar10_folder(path); !cifar.empty()) return open_cifar10(cifar, split);
  return open_images(path, split, cache_folder);
}

std::set<Split> dataset_splits(const std::string& path) {
  if (path.rfind(kGenerated, 0) == 0) {
    const bool val = parse_synthetic(path.substr(kGenerated.size())).val > 0;
    return val ? std::set{Split::train, Split::val} : std::set{Split::train};
  }
  require(std::filesystem::exists(path), "{}: there is no such file or folder", path);
  const auto cifar = cifar10_folder(path);
  return cifar.empty() ? image_splits(path) : cifar10_splits(cifar);
}

}  // namespace previt
