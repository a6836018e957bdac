#include "commands/bench_memory.h"

#include <torch/utils.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/main.h"
#include "commands/bench_run.h"
#include "commands/machine_choices.h"
#include "commands/memory_probe.h"
#include "error.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

double mib(double bytes) { return std::round(bytes / (1 << 20) * 10) / 10; }

// The peak if both options are set as given, and else all is as it is.
double peak_with(const MemoryShape& shape, MemoryChoice choice, int64_t blocks, bool shard) {
  choice.checkpoint_blocks = blocks;
  choice.shard_optimizer = shard;
  return mib(memory_need(shape, choice).peak);
}

ordered_json describe(const PretrainRun& run, const MemoryShape& shape, int64_t processes) {
  const TrainOptions& train = run.options.train;
  const MemoryChoice choice{.images = train.micro(),
                            .checkpoint_blocks = train.checkpoint_blocks,
                            .processes = processes,
                            .shard_optimizer = train.shard_optimizer};
  const MemoryNeed need = memory_need(shape, choice);
  return {{"objective", run.options.objective},
          {"arch", run.options.model.arch},
          {"trained_parameters", std::llround(shape.trained)},
          {"micro_batch", choice.images},
          {"processes", processes},
          {"precision", name_of(train.precision)},
          {"mib",
           {{"weights", mib(need.weights)},
            {"gradients", mib(need.gradients)},
            {"optimizer", mib(need.optimizer)},
            {"average", mib(need.average)},
            {"bf16_copies", mib(need.copies)},
            {"activations", mib(need.activations)},
            {"peak", mib(need.peak)}}},
          {"peak_mib_with",
           {{"neither", peak_with(shape, choice, 0, false)},
            {"checkpoint_blocks", peak_with(shape, choice, kAll, false)},
            {"shard_optimizer", peak_with(shape, choice, 0, true)},
            {"both", peak_with(shape, choice, kAll, true)}}},
          {"mib_an_image",
           {{"block", mib(shape.block)},
            {"checkpointed_block", mib(shape.checkpointed_block)},
            {"rest", mib(shape.rest.per_image)}}}};
}

int estimate(const po::variables_map& args) {
  PretrainRun run = read_bench_run(args);
  TrainOptions& train = run.options.train;
  const int64_t processes = args["nproc"].as<int64_t>();
  if (processes < 1) fail_usage("--nproc: {} is not in [1, inf)", processes);
  if (train.micro_batch == kAutomatic) {
    fail_usage("train.micro_batch: auto is found out by a run; give --batch or a number");
  }
  if (train.batch % processes != 0) {
    fail_usage("train.batch: {} images can't be shared by {} processes", train.batch, processes);
  }
  train.batch /= processes;
  if (train.threads > 0) torch::set_num_threads(static_cast<int>(train.threads));
  decide_for_machine(run.options, at::kCPU);
  ordered_json line = describe(run, memory_shape(run), processes);
  if (args.count("measure") != 0) line["measured_peak_mib"] = mib(measured_peak(run));
  print(line.dump() + "\n");
  return 0;
}

}  // namespace

int bench_memory(int argc, char** argv) {
  po::options_description options("Options");
  add_run_options(options);
  options.add_options()(
      "nproc", po::value<int64_t>()->default_value(1), "processes that share a step's images")(
      "measure", "also make two steps and print what tensors held");
  return run(argc,
             argv,
             "bench memory: estimates what tensors of a process hold, with and without\n"
             "train.checkpoint_blocks (all) and train.shard_optimizer. Blocks of the encoder are\n"
             "counted by their shapes; the rest is measured on the CPU with a model of one block.",
             options,
             estimate,
             Nproc::is_told);
}

}  // namespace previt::cli
