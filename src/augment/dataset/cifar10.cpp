#include "augment/dataset/cifar10.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include "augment/views.h"
#include "error.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr int64_t kSide = 32, kPlane = kSide * kSide, kPixels = 3 * kPlane, kRecord = 1 + kPixels;
constexpr int kClasses = 10;

/// Labels, and pixels with their channels interleaved.
struct Records {
  std::vector<uint8_t> labels, pixels;

  void append(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    require(file.good(), "{}: can't be opened", path);
    const auto size = static_cast<int64_t>(file.tellg());
    require(size > 0 && size % kRecord == 0,
            "{}: {} bytes are not a number of {}-byte records",
            path,
            size,
            kRecord);
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(bytes.data()), size);
    require(file.good(), "{}: can't be read", path);
    for (int64_t i = 0; i < size / kRecord; ++i) append(bytes.data() + i * kRecord, path, i);
  }

  void append(const uint8_t* record, const std::string& path, int64_t index) {
    require(record[0] < kClasses,
            "{}: record {}: label {} is not below {}",
            path,
            index,
            record[0],
            kClasses);
    labels.push_back(record[0]);
    const size_t start = pixels.size();
    pixels.resize(start + kPixels);
    for (int64_t p = 0; p < kPlane; ++p) {
      for (int64_t c = 0; c < 3; ++c) pixels[start + 3 * p + c] = record[1 + c * kPlane + p];
    }
  }
};

class CifarReader final : public SampleReader {
 public:
  explicit CifarReader(const Records& records) : records_(records) {}
  ImageSize open(int64_t index) override {
    index_ = index;
    return {kSide, kSide};
  }
  void decode(const Box&, int64_t, Region& region) override {
    if (region.pixels.pixels.size() != kPixels) region.pixels = Image(kSide, kSide);
    std::memcpy(region.pixels.pixels.data(), records_.pixels.data() + index_ * kPixels, kPixels);
    region.box = {0, 0, kSide, kSide};
  }

 private:
  const Records& records_;
  int64_t index_ = 0;
};

class Cifar10 final : public Dataset {
 public:
  Cifar10(Records records, std::vector<std::string> classes)
      : records_(std::move(records)), classes_(std::move(classes)) {}
  int64_t size() const override { return static_cast<int64_t>(records_.labels.size()); }
  int64_t label(int64_t index) const override { return records_.labels[index]; }
  std::vector<std::string> class_names() const override { return classes_; }
  std::unique_ptr<SampleReader> reader() const override {
    return std::make_unique<CifarReader>(records_);
  }

 private:
  Records records_;
  std::vector<std::string> classes_;
};

/// The class names of batches.meta.txt, or the published ones if it doesn't list all ten.
std::vector<std::string> read_classes(const std::string& folder) {
  std::vector<std::string> names;
  std::ifstream file(folder + "/batches.meta.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) names.push_back(utf8_or_escaped(line));
  }
  if (names.size() == kClasses) return names;
  return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
}

}  // namespace

std::set<Split> cifar10_splits(const std::string& folder) {
  std::set<Split> splits;
  if (std::filesystem::is_regular_file(folder + "/data_batch_1.bin")) splits.insert(Split::train);
  if (std::filesystem::is_regular_file(folder + "/test_batch.bin")) splits.insert(Split::val);
  return splits;
}

std::string cifar10_folder(const std::string& folder) {
  for (const auto& place : {folder, folder + "/cifar-10-batches-bin"}) {
    if (!cifar10_splits(place).empty()) return place;
  }
  return "";
}

std::string cifar_pickles(const std::string& folder) {
  namespace fs = std::filesystem;
  const auto has = [](const fs::path& place, const char* name) {
    std::error_code error;
    return fs::is_regular_file(place / name, error);
  };
  std::vector<fs::path> places = {folder};
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    places.push_back(at->path());
  }
  for (const auto& place : places) {
    const bool ten = has(place, "data_batch_1") || has(place, "test_batch");
    const bool hundred = has(place, "train") && has(place, "test") && has(place, "meta");
    if (ten || hundred) return place.string();
  }
  return "";
}

std::vector<std::string> cifar10_files(const std::string& folder, Split split) {
  const auto wanted = split == Split::all ? cifar10_splits(folder) : std::set{split};
  std::vector<std::string> files;
  if (wanted.contains(Split::train)) {
    for (int batch = 1; batch <= 5; ++batch) {
      files.push_back(fmt::format("{}/data_batch_{}.bin", folder, batch));
    }
  }
  if (wanted.contains(Split::val)) files.push_back(folder + "/test_batch.bin");
  return files;
}

std::shared_ptr<Dataset> open_cifar10(const std::string& folder, Split split) {
  Records records;
  for (const std::string& file : cifar10_files(folder, split)) records.append(file);
  return std::make_shared<Cifar10>(std::move(records), read_classes(folder));
}

}  // namespace previt
