#include "augment/io/image_file.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "augment/io/file_bytes.h"
#include "augment/io/image_decoder.h"

namespace previt {
namespace {

class ImageFileReader final : public SampleReader {
 public:
  explicit ImageFileReader(std::function<std::string(int64_t)> path) : path_(std::move(path)) {}
  ImageSize open(int64_t index) override {
    bytes_ = file_.read(path_(index));
    return decoder_.open(bytes_);
  }
  void decode(const Box& box, int64_t reduction, Region& region) override {
    decoder_.decode(box, reduction, region);
  }
  std::span<const uint8_t> file() const override { return {bytes_.data, bytes_.size}; }

 private:
  std::function<std::string(int64_t)> path_;
  FileBytes file_;
  Bytes bytes_;
  ImageDecoder decoder_;
};

class ImageFileDataset final : public Dataset {
 public:
  explicit ImageFileDataset(const std::string& path) : path_(path) {}
  int64_t size() const override { return 1; }
  std::unique_ptr<SampleReader> reader() const override {
    return image_file_reader([path = path_](int64_t) { return path; });
  }
  std::string name(int64_t) const override {
    return std::filesystem::path(path_).filename().string();
  }

 private:
  std::string path_;
};

}  // namespace

std::unique_ptr<SampleReader> image_file_reader(std::function<std::string(int64_t)> path) {
  return std::make_unique<ImageFileReader>(std::move(path));
}

bool is_image_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const std::string signature = "\x89HDF\r\n\x1a\n";
  std::string start(signature.size(), '\0');
  std::ifstream(path, std::ios::binary)
      .read(start.data(), static_cast<std::streamsize>(start.size()));
  return start != signature && !path.ends_with(".h5");  // a damaged pack is reported as a pack
}

std::shared_ptr<Dataset> open_image_file(const std::string& path) {
  return std::make_shared<ImageFileDataset>(path);
}

}  // namespace previt
