#include "commands/machine_choices.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include <cstdlib>
#include <filesystem>

#include "communicator.h"
#include "models/kernels/matmul_ways.h"
#include "pretrain/train/precision_choice.h"
#include "recipe.h"

namespace previt::cli {
namespace {

// Those of an earlier part of the run; undecided if there was none.
TrainOptions earlier_choices(const std::string& folder) {
  const std::string path = folder + "/recipe.yaml";
  TrainOptions train;
  train.micro_batch = kAutomatic;
  if (!folder.empty() && std::filesystem::exists(path)) Recipe::load(path).read("train", train);
  return train;
}

// Operators that have no such way end the run with an error of LibTorch's instead of other bits.
void compute_the_same_each_time(bool on) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  context.setDeterministicCuDNN(on);
  if (!on) return;
  context.setBenchmarkCuDNN(false);
  context.setDeterministicFillUninitializedMemory(false);
  // Their backward passes add up in no fixed order; flash attention's has a way that does.
  context.setSDPUseMemEfficient(false);
  context.setSDPUseCuDNN(false);
  // cuBLAS reads it when it is first used.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

}  // namespace

void decide_for_machine(RunOptions& run, at::Device device, const std::string& resumed) {
  TrainOptions& train = run.train;
  world().set_timeout(train.timeout);
  compute_the_same_each_time(train.deterministic);
  matmul_ways().measure(train.matmul == MatmulChoice::measured && !train.deterministic);
  const TrainOptions earlier = earlier_choices(resumed);
  if (train.precision == Precision::automatic) train.precision = earlier.precision;
  if (train.micro_batch == kAutomatic) train.micro_batch = earlier.micro_batch;
  train.precision = decided_precision(train.precision, run.model, train.micro(), device);
  // All have measured, so that rank 0 shared caches and memory as in the run.
  const at::Tensor choices =
      torch::tensor({static_cast<int64_t>(train.precision), train.micro_batch}, torch::kInt64);
  world().broadcast(choices);
  train.precision = static_cast<Precision>(choices[0].item<int64_t>());
  train.micro_batch = choices[1].item<int64_t>();
}

}  // namespace previt::cli
