#include "commands/bench_scaling.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands/bench_run.h"
#include "commands/rank_programs.h"
#include "commands/scaling_simulation.h"
#include "error.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kBucket = 25 << 20;  // bytes of gradients that are sent at once
constexpr double kGigabit = 1e9 / 8;

// --- measured ------------------------------------------------------------------------------------

// What `bench step` prints of this many processes with one thread each.
ordered_json step_of(const po::variables_map& args, int64_t batch, int64_t micro, int64_t n) {
  std::vector<std::string> words = {
      "step", "--device", "cpu", "--recipe", args["recipe"].as<std::string>()};
  words.insert(words.end(), {"--steps", std::to_string(args["steps"].as<int64_t>())});
  std::vector<std::string> settings = args["set"].as<std::vector<std::string>>();
  settings.insert(settings.end(),
                  {fmt::format("train.batch={}", batch),
                   fmt::format("train.micro_batch={}", micro),
                   "train.threads=1"});
  for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
  const std::string line = output_of_ranks(words, n);
  const auto step = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  require(step.is_object(), "bench scaling: a process printed no JSON");
  return step;
}

int measure(const po::variables_map& args) {
  const int64_t n = args["nproc"].as<int64_t>();
  if (n < 2) fail_usage("--nproc: {} is not in [2, inf)", n);
  const TrainOptions train = read_bench_run(args).options.train;
  if (train.batch % n != 0) {
    fail_usage("train.batch: {} images can't be shared by {} processes; {} or {} can",
               train.batch,
               n,
               std::max<int64_t>(1, train.batch / n) * n,
               (train.batch / n + 1) * n);
  }
  TrainOptions shared = train;
  shared.batch /= n;
  // Both make the same micro-batches: one process all of them, several each its own.
  const auto one = step_of(args, train.batch, shared.micro(), 1);
  const auto many = step_of(args, train.batch, shared.micro(), n);
  const double alone = one["milliseconds"]["median"], together = many["milliseconds"]["median"];
  const double exposed = many["milliseconds"].value("exposed", 0.0);
  print(ordered_json{{"processes", n},
                     {"batch", train.batch},
                     {"micro_batch", shared.micro()},
                     {"one_process", one["milliseconds"]},
                     {"processes_together", many["milliseconds"]},
                     {"speedup", alone / together},
                     {"efficiency", alone / together / static_cast<double>(n)},
                     {"exposed_share", exposed / together}}
            .dump() +
        "\n");
  return 0;
}

// --- simulated -----------------------------------------------------------------------------------

// Bytes of gradients that are sent together: in reverse order of use, as backward makes them.
std::vector<double> bucket_bytes(const Objective& objective) {
  std::vector<double> buckets;
  const auto parameters = objective.parameters();
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    if (!parameter->requires_grad()) continue;
    const auto bytes = static_cast<double>(parameter->nbytes());
    if (buckets.empty() || buckets.back() + bytes > kBucket) buckets.push_back(0);
    buckets.back() += bytes;
  }
  return buckets;
}

ordered_json rows(const std::vector<Scaling>& table) {
  ordered_json list = ordered_json::array();
  for (const Scaling& row : table) {
    list.push_back({{"gpus", row.gpus},
                    {"milliseconds", row.step.seconds * 1e3},
                    {"communication", row.step.communication * 1e3},
                    {"exposed", row.step.exposed * 1e3},
                    {"efficiency", row.efficiency}});
  }
  return list;
}

int simulate(const po::variables_map& args) {
  if (args.count("step-ms") == 0) {
    fail_usage("--step-ms: --simulate needs the time of a GPU's step, as bench step measures it");
  }
  const double milliseconds = args["step-ms"].as<double>();
  if (!(milliseconds > 0)) fail_usage("--step-ms: {} is not in (0, inf)", milliseconds);
  const PretrainRun run = read_bench_run(args);
  const int64_t images = run.options.train.batch;
  GpuStep step{.seconds = milliseconds / 1e3, .buckets = bucket_bytes(*run.build())};
  const Interconnect network{.node_bandwidth = args["node-gbps"].as<double>() * kGigabit,
                             .gpu_bandwidth = args["gpu-gbps"].as<double>() * kGigabit};
  std::vector<int64_t> gpus;
  for (int64_t n = 1; n <= args["gpus"].as<int64_t>(); n *= 2) gpus.push_back(n);
  double bytes = 0;
  for (const double bucket : step.buckets) bytes += bucket;
  print(ordered_json{{"images_a_gpu", images},
                     {"step_milliseconds", milliseconds},
                     {"buckets", step.buckets.size()},
                     {"gradient_mib", bytes / (1 << 20)},
                     {"weak", rows(weak_scaling(step, gpus, network))},
                     {"strong", rows(strong_scaling(step, images, gpus, network))}}
            .dump() +
        "\n");
  return 0;
}

}  // namespace

int bench_scaling(int argc, char** argv) {
  po::options_description options("Options");
  add_run_options(options);
  options.add_options()(
      "nproc", po::value<int64_t>()->default_value(2), "processes that share a step's images")(
      "steps", po::value<int64_t>()->default_value(5), "steps timed, after 2 that are not")(
      "simulate", "calculate steps of many GPUs instead")(
      "step-ms", po::value<double>(), "milliseconds that a GPU alone needs for a step")(
      "gpus", po::value<int64_t>()->default_value(1024), "most GPUs that are simulated")(
      "node-gbps", po::value<double>()->default_value(400), "Gb/s out of a node of 8 GPUs")(
      "gpu-gbps", po::value<double>()->default_value(3600), "Gb/s out of a GPU within its node");
  return run(
      argc,
      argv,
      "bench scaling: times the step of one process and that of --nproc processes on the same\n"
      "images, each with one thread: how much faster it is, how long the processes' sums take\n"
      "alone (communication) and how long a step waits for other processes (exposed). With\n"
      "--simulate, steps of up to --gpus GPUs by the arithmetic of docs/processes.md.",
      options,
      [](const po::variables_map& args) {
        return args.count("simulate") != 0 ? simulate(args) : measure(args);
      });
}

}  // namespace previt::cli
