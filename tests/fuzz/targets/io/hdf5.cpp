// Packs of images and files of tensors.
#include <torch/types.h>

#include <filesystem>

#include "augment/io/pack_format.h"
#include "augment/io/pack_images.h"
#include "augment/io/tensor_file.h"
#include "augment/open_dataset.h"
#include "fuzz/target.h"

namespace previt::fuzz {
namespace {

namespace fs = std::filesystem;

/// A pack in three parts: what is before its one chunk of pictures, the chunk, and what is behind
/// it. Inputs are the outer two; four megabytes of pictures would drown them.
struct Pack {
  Pack() {
    const std::string data = scratch() + "pack_of/a";
    fs::create_directories(data);
    for (const char* name : {"rgb8.png", "grey.jpg"}) {
      put(data + "/" + name, read_whole_file(kFixtures + "images/" + name));
    }
    const std::string path = scratch() + "seed.h5";
    pack_images(
        {.data = scratch() + "pack_of", .out = path, .workers = 1},
        [] { return false; },
        [](const PackReport&) {},
        [](const std::string&) {});
    const MappedFile file(path);
    at = read_trailer(bytes_of(file), path).chunks.at(0);
    const std::string bytes(file.data(), file.size());
    chunk = bytes.substr(at, 2048);
    const std::string behind = bytes.substr(at + kPackChunk);
    whole = bytes.substr(0, at) + behind;
    unsigned_ = whole.substr(0, whole.size() - 32);  // without the table and the trailer
  }
  /// Writes an input as the pack that it stands for; the chunk is a hole but for its pictures.
  std::string write(const std::string& input) const {
    const std::string path = scratch() + "a.h5";
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    const size_t before = std::min<size_t>(at, input.size());
    file << input.substr(0, before);
    file.seekp(static_cast<std::streamoff>(at));
    file << chunk;
    file.seekp(static_cast<std::streamoff>(at) + kPackChunk);
    file << input.substr(before);
    return path;
  }
  uint64_t at = 0;
  std::string chunk, whole, unsigned_;
};

const Pack& pack() {
  static const Pack one;
  return one;
}

void read_pack(const std::string& path) {
  const auto data = open_dataset(path, Split::all);
  const auto reader = data->reader();
  for (int64_t i = 0; i < std::min<int64_t>(data->size(), 4); ++i) {
    data->name(i);
    read_image(*reader, i);
  }
}

std::string tensors() {
  const std::string path = scratch() + "seed_tensors.h5";
  TensorFileWriter file(path);
  file.write("maps/1", torch::ones({2, 3}));
  file.append("rows", torch::zeros({2, 4}, torch::kInt64));
  file.write_texts("names", {"a.jpg", ""});
  file.describe("model", "a model");
  file.finish();
  return read_whole_file(path);
}

const bool added[] = {
    add({.name = "pack",
         .seeds = [] { return std::vector{pack().whole}; },
         .parse = [](const std::string& bytes) { read_pack(pack().write(bytes)); },
         .inputs = 300}),
    add({.name = "pack_signed",  // written by someone who computes the checksum, too
         .seeds = [] { return std::vector{pack().unsigned_}; },
         .parse =
             [](const std::string& bytes) {
               const std::string path = pack().write(bytes);
               append_trailer(path, {pack().at});
               read_pack(path);
             },
         .inputs = 300,
         .refused = 0.02}),
    add({.name = "tensor_file",
         .seeds = [] { return std::vector{tensors()}; },
         .parse =
             [](const std::string& bytes) {
               const TensorFileReader file(put(scratch() + "t.h5", bytes));
               file.description("model");
               file.read("maps/1");
               file.read("rows");
             },
         .inputs = 300,
         .refused = 0.02}),
};

}  // namespace
}  // namespace previt::fuzz
