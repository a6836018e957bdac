#include <torch/types.h>

#include <filesystem>

#include "files.h"
#include "models/weights/pth.h"
#include "parity/parity.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/torch_save.h"

using namespace previt;

namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

NamedTensors wrapped(const NamedTensors& weights, const std::string& prefix) {
  NamedTensors all;
  for (const auto& [name, tensor] : weights) all[prefix + name] = tensor;
  return all;
}

// What is expected of a fixture, for one that holds only what begins with `kept`, in a wrapper.
void write_expected(const std::string& path,
                    const std::string& source,
                    const std::string& kept,
                    const std::string& wrapper) {
  SafeTensors expected = read_safetensors(source);
  NamedTensors some;
  for (const auto& [name, tensor] : expected.tensors) {
    if (name.starts_with("input.") || name.starts_with("output.")) some[name] = tensor;
    if (name.starts_with(kept)) some[kept + wrapper + name.substr(kept.size())] = tensor;
  }
  auto config = nlohmann::json::parse(expected.metadata.at("config"));
  for (const char* key : {"args", "epoch", "optimizer_param_order"}) config.erase(key);
  expected.metadata["config"] = config.dump();
  write_safetensors(path, some, expected.metadata);
}

}  // namespace

TEST_CASE("checkpoint fixtures may hold the network only, and not tell its heads") {
  const auto [name, key, kept] = GENERATE(table<std::string, std::string, std::string>(
      {{"dino_checkpoint", "teacher", "teacher."}, {"mae_checkpoint", "model", "weight."}}));
  const std::string wrapper = GENERATE(as<std::string>(), "", "module.");
  const TempFolder folder;
  const PthFile file = read_pth(kFixtures + name + "_a.pth");
  const NamedTensors weights = wrapped(tensors_in(*file.root->find(key)), wrapper);
  const std::string path = folder.path() + "/" + name + "_b";
  write_whole_file(path + ".pth", test::torch_save({{key, weights}}));
  write_expected(
      path + ".expected.safetensors", kFixtures + name + "_a.expected.safetensors", kept, wrapper);
  const auto reports = parity::run_folder(folder.path());
  REQUIRE(reports.size() == 1);
  INFO(reports.front().detail);
  CHECK(reports.front().outcome == parity::Outcome::passed);
}
