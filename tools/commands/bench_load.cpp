#include "commands/bench_load.h"

#include <torch/nn/module.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/main.h"
#include "error.h"
#include "finetune/model.h"
#include "json_text.h"
#include "memory.h"
#include "models/weights/weights.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = 1 << 20;

double milliseconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

LoadedModel loaded_from(const std::string& from) {
  return load_model(from, nullptr, {.backbone_only = true});
}

std::shared_ptr<Vit> network_of(const LoadedModel& loaded) {
  VitOptions options = loaded.options;
  if (options.num_heads == 0) options.num_heads = 1;  // takes as long with any number
  return frozen_vit(loaded, options);
}

void read_bytes(const std::vector<std::string>& files) {
  std::vector<char> piece(kPiece);
  for (const std::string& path : files) {
    std::ifstream file(path, std::ios::binary);
    while (file.read(piece.data(), kPiece)) {
    }
    require(file.eof(), "{}: can't be read", path);
  }
}

int measure_load(const po::variables_map& args) {
  const auto from = args["from"].as<std::string>();
  const auto repeats = args["repeats"].as<int64_t>();
  if (repeats < 1) fail_usage("--repeats: {} is not in [1, inf)", repeats);
  const int64_t before = peak_memory();
  LoadedModel loaded;
  std::shared_ptr<Vit> vit;
  const auto load = [&] {
    loaded = loaded_from(from);
    vit = network_of(loaded);
  };
  const double first = milliseconds_of(load);  // the only one with fresh memory
  const int64_t peak = peak_memory() - before;
  const std::vector<std::string> files = files_read(loaded);
  int64_t file_bytes = 0, model_bytes = 0;
  for (const std::string& file : files) file_bytes += static_cast<int64_t>(fs::file_size(file));
  for (const auto& [name, tensor] : named_tensors(*vit)) {
    model_bytes += static_cast<int64_t>(tensor.nbytes());
  }
  std::vector<double> own, plain;
  for (int64_t i = 0; i < repeats; ++i) {  // in turn, so that other load on the machine slows both
    plain.push_back(milliseconds_of([&] { read_bytes(files); }));
    vit = nullptr;
    loaded = {};
    own.push_back(milliseconds_of(load));
  }
  const nlohmann::ordered_json line = {{"milliseconds", middle_of(own)},
                                       {"first_milliseconds", first},
                                       {"plain_milliseconds", middle_of(plain)},
                                       {"ratio", middle_of(own) / middle_of(plain)},
                                       {"file_bytes", file_bytes},
                                       {"model_bytes", model_bytes},
                                       {"peak_bytes", peak},
                                       {"peak_over_model", peak - model_bytes},
                                       {"repeats", repeats},
                                       {"from", loaded.source}};
  print(json_text(line) + "\n");
  return 0;
}

}  // namespace

int bench_load(int argc, char** argv) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("from", po::value<std::string>()->required(), "checkpoint, as other programs take it");
  add("repeats",
      po::value<int64_t>()->default_value(3),
      "times that it is loaded after the first; the median counts");
  return run(argc,
             argv,
             "bench load: times loading a checkpoint into a network that is used as it is, beside "
             "reading the\nbytes of its files, and says how much memory it takes at most.",
             options,
             measure_load);
}

}  // namespace previt::cli
