#include "commands/feature_cache.h"

#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "augment/dataset/cifar10.h"
#include "augment/io/tensor_file.h"
#include "communicator.h"
#include "error.h"
#include "files.h"
#include "json_options.h"
#include "json_text.h"
#include "log.h"
#include "models/weights/weights.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

#ifdef PREVIT_WITH_IMAGE_IO

void read_part(const TensorFileReader& file, const std::string& part, LabelledFeatures& features) {
  features.values = file.read(part + "/values");
  features.labels = file.read(part + "/labels");
}

void write_part(TensorFileWriter& file, const std::string& part, const LabelledFeatures& features) {
  file.write(part + "/values", features.values);
  file.write(part + "/labels", features.labels);
}

bool read_cache(const std::string& cache, const std::string& identity, ProbeFeatures& features) {
  if (!fs::exists(cache)) return false;
  const Busy busy;
  const TensorFileReader file(cache);
  if (file.description("identity") != identity) {
    info("{}: features of another network, data or setting; made anew", cache);
    return false;
  }
  read_part(file, "fit", features.fit);
  read_part(file, "choose", features.choose);
  read_part(file, "test", features.test);
  info("{}: features taken from there", cache);
  return true;
}

void write_cache(const std::string& cache, const std::string& identity, const ProbeFeatures& made) {
  const Busy busy;
  TensorFileWriter file(cache);
  file.describe("identity", identity);
  write_part(file, "fit", made.fit);
  write_part(file, "choose", made.choose);
  write_part(file, "test", made.test);
  file.finish();
}

#else

bool read_cache(const std::string& cache, const std::string&, ProbeFeatures&) {
  fail("{}: this build keeps no HDF5 files (PREVIT_WITH_IMAGE_IO is off)", cache);
}
void write_cache(const std::string&, const std::string&, const ProbeFeatures&) {}

#endif

void add_text(Checksum& checksum, const std::string& text) {
  checksum.update(text.c_str(), text.size() + 1);  // with its end, so that texts don't run together
}

// Adds size and time of a file; nothing where there is none.
void add_file(Checksum& checksum, const fs::path& file) {
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return;
  const auto size = fs::file_size(file, none);
  const auto time = fs::last_write_time(file, none).time_since_epoch().count();
  add_text(checksum, fmt::format("{} {}", size, time));
}

}  // namespace

std::string images_identity(const std::string& path, const Dataset& images) {
  Checksum checksum;
  add_file(checksum, path);  // a pack
  const std::string cifar = cifar10_folder(path);
  if (!cifar.empty()) {
    for (const auto& batch : cifar10_files(cifar, Split::all)) add_file(checksum, batch);
  }
  for (int64_t i = 0; i < images.size(); ++i) {
    const std::string name = images.name(i);
    add_text(checksum, fmt::format("{} {}", name, images.label(i)));
    add_file(checksum, fs::path(path) / name);
  }
  return fmt::format("{} images {}", images.size(), checksum.hex());
}

std::string feature_identity(const Backbone& backbone,
                             const FeatureOptions& options,
                             const std::string& data) {
  const nlohmann::json identity = {{"weights", weights_checksum(*backbone.vit)},
                                   {"features", options_to_json(options)},
                                   {"view", view_identity(backbone.view())},
                                   {"normalize", options_to_json(backbone.loaded.normalize)},
                                   {"precision", at::toString(backbone.type)},
                                   {"data", data}};
  return json_text(identity);
}

ProbeFeatures cached_features(const std::string& cache,
                              const std::string& identity,
                              const std::function<ProbeFeatures()>& make) {
  if (cache.empty()) return make();
  ProbeFeatures features;
  const bool read = world().leads() && read_cache(cache, identity, features);
  if (world().broadcast(read ? cache : "").empty()) {
    features = make();
    if (world().leads()) write_cache(cache, identity, features);
  } else if (!world().leads()) {
    require(read_cache(cache, identity, features),
            "{}: rank 0 finds features there that this one doesn't; use a file that all can read",
            cache);
  }
  return features;
}

}  // namespace previt::cli
