#include "commands/machine_choices.h"

#include <filesystem>

#include "models/kernels/matmul_ways.h"
#include "pretrain/train/precision_choice.h"
#include "recipe.h"

namespace previt::cli {
namespace {

// That of an earlier part of the run; `automatic` if there was none.
Precision earlier_precision(const std::string& folder) {
  const std::string path = folder + "/recipe.yaml";
  if (folder.empty() || !std::filesystem::exists(path)) return Precision::automatic;
  TrainOptions train;
  Recipe::load(path).read("train", train);
  return train.precision;
}

}  // namespace

void decide_for_machine(RunOptions& run, at::Device device, const std::string& resumed) {
  TrainOptions& train = run.train;
  matmul_ways().measure(train.matmul == MatmulChoice::measured);
  if (train.precision == Precision::automatic) train.precision = earlier_precision(resumed);
  train.precision = decided_precision(train.precision, run.model, train.micro(), device);
}

}  // namespace previt::cli
