#include "cli/feature_cache.h"

#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "augment/io/tensor_file.h"
#include "error.h"
#include "files.h"
#include "json_options.h"
#include "log.h"
#include "models/weights.h"

namespace previt::cli {
namespace {

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
  if (!std::filesystem::exists(cache)) return false;
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

}  // namespace

std::string feature_identity(const Backbone& backbone,
                             const FeatureOptions& options,
                             const std::string& data) {
  Checksum checksum;
  for (const auto& [name, tensor] : named_tensors(*backbone.vit)) {
    const at::Tensor bytes = tensor.detach().cpu().contiguous();
    checksum.update(name.data(), name.size());
    checksum.update(bytes.const_data_ptr(), bytes.nbytes());
  }
  const nlohmann::json identity = {{"weights", checksum.hex()},
                                   {"features", options_to_json(options)},
                                   {"view", options_to_json(backbone.view())},
                                   {"normalize", options_to_json(backbone.loaded.normalize)},
                                   {"precision", at::toString(backbone.type)},
                                   {"data", data}};
  return identity.dump();
}

ProbeFeatures cached_features(const std::string& cache,
                              const std::string& identity,
                              const std::function<ProbeFeatures()>& make) {
  ProbeFeatures features;
  if (!cache.empty() && read_cache(cache, identity, features)) return features;
  features = make();
  if (!cache.empty()) write_cache(cache, identity, features);
  return features;
}

}  // namespace previt::cli
