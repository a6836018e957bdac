#include "commands/bench_scaling.h"

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>

#include "commands/bench_run.h"
#include "commands/own_program.h"
#include "commands/scaling_simulation.h"
#include "error.h"
#include "pretrain/train/gradient_sum.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kGigabit = 1e9 / 8;

// --- measured ------------------------------------------------------------------------------------

// What `bench step` prints of `n` processes with one thread each.
ordered_json step_of(const po::variables_map& args,
                     int64_t n,
                     const std::vector<std::string>& set) {
  std::vector<std::string> words = {"step",
                                    "--device",
                                    "cpu",
                                    "--recipe",
                                    args["recipe"].as<std::string>(),
                                    "--steps",
                                    std::to_string(args["steps"].as<int64_t>()),
                                    "--nproc",
                                    std::to_string(n)};
  std::vector<std::string> settings = args["set"].as<std::vector<std::string>>();
  settings.insert(settings.end(), set.begin(), set.end());
  settings.insert(settings.end(), {"train.threads=1", "train.drop_last=true"});
  for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
  const auto step =
      ordered_json::parse(output_of_own_program(words), nullptr, /*allow_exceptions=*/false);
  require(step.is_object(), "bench step: printed no JSON");
  return step;
}

// Milliseconds of a step of `n` processes that run at once and know nothing of each other: what the
// machine leaves to so many.
double milliseconds_apart(const po::variables_map& args,
                          int64_t n,
                          const std::vector<std::string>& set) {
  std::vector<std::future<double>> medians;
  for (int64_t i = 0; i < n; ++i) {
    medians.push_back(std::async(std::launch::async, [&]() -> double {
      return step_of(args, 1, set).at("milliseconds").at("median");
    }));
  }
  double sum = 0;
  for (auto& median : medians) sum += median.get();
  return sum / static_cast<double>(n);
}

void require_shared_by(int64_t n, int64_t images) {
  if (n < 2) fail_usage("--nproc: {} is not in [2, inf)", n);
  if (images % n == 0) return;
  const int64_t below = images / n * n;
  fail_usage("train.batch: {} images can't be shared evenly by {} processes; {} can",
             images,
             n,
             below == 0 ? n : below);
}

int measure(const po::variables_map& args) {
  const int64_t n = args["nproc"].as<int64_t>();
  TrainOptions share = read_bench_run(args).options.train;
  const int64_t batch = share.batch;
  require_shared_by(n, batch);
  share.batch /= n;
  // All make the same micro-batches: one process all of them, several each its own.
  std::vector<std::string> settings = {fmt::format("train.batch={}", batch),
                                       fmt::format("train.micro_batch={}", share.micro())};
  const auto one = step_of(args, 1, settings);
  // What one found to be faster goes for the others too.
  settings.push_back("train.precision=" + one.at("precision").get<std::string>());
  const auto many = step_of(args, n, settings);
  settings.push_back(fmt::format("train.batch={}", share.batch));
  const double apart = milliseconds_apart(args, n, settings);
  const double alone = one.at("milliseconds").at("median");
  const double together = many.at("milliseconds").at("median");
  const double exposed = many.at("communication").at("exposed_milliseconds");
  print(ordered_json{{"processes", n},
                     {"batch", batch},
                     {"micro_batch", share.micro()},
                     {"precision", one.at("precision")},
                     {"one_process", one.at("milliseconds")},
                     {"processes_together", many.at("milliseconds")},
                     {"processes_apart", {{"median", apart}}},
                     {"communication", many.at("communication")},
                     {"speedup", alone / together},
                     {"efficiency", alone / together / static_cast<double>(n)},
                     {"efficiency_apart", alone / apart / static_cast<double>(n)},
                     {"exposed_share", exposed / together}}
            .dump() +
        "\n");
  return 0;
}

// --- simulated -----------------------------------------------------------------------------------

// Bytes of gradients that are sent together, as GradientSum does it.
std::vector<double> bucket_bytes(const Objective& objective) {
  std::vector<double> buckets;
  const auto parameters = objective.parameters();
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    if (!parameter->requires_grad()) continue;
    const auto bytes = static_cast<double>(parameter->nbytes());
    if (buckets.empty() || buckets.back() + bytes > GradientSum::kBucketBytes) buckets.push_back(0);
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
      "images, each with one thread on the CPU: how much faster it is, how long gradients are on\n"
      "their way (communication), and for how much of that a step waits (exposed). Beside that\n"
      "(apart), as many processes that run at once and share nothing but the machine. With\n"
      "--simulate, steps of up to --gpus GPUs by the arithmetic of docs/processes.md.",
      options,
      [](const po::variables_map& args) {
        return args.count("simulate") != 0 ? simulate(args) : measure(args);
      },
      Nproc::is_told);
}

}  // namespace previt::cli
