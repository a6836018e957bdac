#include "commands/bench_machine.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/randn.h>
#include <torch/version.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <tuple>

#include "cli/main.h"
#include "cores.h"
#include "cpu_level.h"
#include "models/kernels/matmul.h"
#include "models/kernels/matmul_ways.h"
#include "options.h"
#include "pretrain/train/precision_choice.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "L1 Data 32K" and so on, of the first core.
ordered_json caches() {
  ordered_json all = ordered_json::array();
  for (int i = 0;; ++i) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", i);
    if (!std::filesystem::exists(folder)) return all;
    all.push_back(fmt::format("L{} {} {}",
                              line_of(folder + "level"),
                              line_of(folder + "type"),
                              line_of(folder + "size")));
  }
}

// Computes a linear layer's three matmuls, which measures the ways of each.
void measure_layer(at::ScalarType type, int64_t tokens, int64_t in, int64_t out) {
  const at::Tensor x = at::randn({tokens, in}).to(type), dy = at::randn({tokens, out}).to(type);
  const at::Tensor weight = at::randn({out, in}).to(type), bias = at::randn({out});
  matmul_transposed(x, weight, bias);
  matmul_transposed(dy, weight.t());
  matmul_over_rows(dy, x);
}

// GFLOP/s of each way, and which is chosen.
ordered_json matmuls() {
  matmul_ways().measure(true);
  // Tokens and widths of MAE's encoder (ViT-B, batch 16) and decoder, of ViT-S and of ViT-Ti.
  for (const auto& [tokens, in, out] :
       {std::tuple{800, 768, 3072}, {3152, 512, 2048}, {1576, 384, 1536}, {1088, 192, 768}}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) measure_layer(type, tokens, in, out);
  }
  const auto chosen = matmul_ways().chosen();
  ordered_json all = ordered_json::object();
  for (const auto& [shape, speeds] : matmul_ways().speeds()) {
    for (const auto& [way, speed] : speeds) all[shape][way] = std::round(speed);
    all[shape]["chosen"] = chosen.at(shape);
  }
  return all;
}

// What train.precision: auto becomes for models of these sizes.
ordered_json precisions() {
  ordered_json all = ordered_json::object();
  for (const char* arch : {"vit_base", "vit_small", "vit_tiny"}) {
    VitOptions model;
    model.arch = arch;
    all[arch] =
        name_of(decided_precision(Precision::automatic, resolve(model), /*images=*/8, at::kCPU));
  }
  return all;
}

int describe_machine(const po::variables_map&) {
  const ordered_json machine = {
      {"processor", processor_name()},
      {"cores", std::thread::hardware_concurrency()},
      {"threads", at::get_num_threads()},
      {"caches", caches()},
      {"machine_level", name_of(machine_level())},
      {"level", name_of(cpu_level())},
      {"libtorch", TORCH_VERSION},
      {"libtorch_level", at::get_cpu_capability()},
      {"mkl", at::get_mkl_version()},
      {"onednn", at::get_mkldnn_version()},
      {"matmul_gflops", matmuls()},
      {"precision", precisions()},
  };
  print(machine.dump(2) + "\n");
  return 0;
}

}  // namespace

int bench_machine(int argc, char** argv) {
  return run(argc,
             argv,
             "bench machine: the processor, the level of instructions whose loops run "
             "(PREVIT_CPU_LEVEL lowers it),\n"
             "the libraries in LibTorch, and how fast each computes the matmuls of a linear layer.",
             po::options_description("Options"),
             describe_machine);
}

}  // namespace previt::cli
