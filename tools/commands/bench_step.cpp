#include "commands/bench_step.h"

#include <torch/cuda.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/device.h"
#include "cli/main.h"
#include "commands/bench_run.h"
#include "commands/machine_choices.h"
#include "commands/timed_communicator.h"
#include "communicator.h"
#include "error.h"
#include "memory.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/stepper.h"

namespace previt::cli {
namespace {

constexpr int64_t kWarmupSteps = 2;  // before the clock: memory is touched, kernels are chosen

struct Timing {
  std::vector<double> milliseconds;  // ascending
  double loss = 0;
  double communication = 0, exposed = 0;  // of a step, in milliseconds
};

// watched: counts what is sent to other processes; null if there are none.
Timing time_steps(Objective& objective,
                  const RunOptions& options,
                  int64_t steps,
                  TimedCommunicator* watched) {
  Stepper stepper(objective, options);
  const Batch pictures = random_pictures(objective, options, options.train.micro());
  StepInfo info = middle_step();
  Timing timing;
  for (int64_t i = 0; i < kWarmupSteps + steps; ++i, ++info.step) {
    if (watched != nullptr) {
      watched->barrier();
      watched->restart();
    }
    const auto begin = std::chrono::steady_clock::now();
    const StepOutcome outcome = stepper.step(info, options.train.batch, [&] { return pictures; });
    if (stepper.device().is_cuda()) torch::cuda::synchronize();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    if (i >= kWarmupSteps) timing.milliseconds.push_back(spent.count());
    if (watched != nullptr && i >= kWarmupSteps) {
      timing.exposed += 1e3 * watched->waited() / static_cast<double>(steps);
    }
    timing.loss = outcome.loss;
  }
  if (watched != nullptr) timing.communication = 1e3 * watched->seconds_of_sums_alone();
  std::sort(timing.milliseconds.begin(), timing.milliseconds.end());
  return timing;
}

nlohmann::ordered_json describe(const Timing& timing,
                                const RunOptions& options,
                                double flops_per_image) {
  const double best = timing.milliseconds.front();
  const double images_per_second = static_cast<double>(options.train.batch) / best * 1e3;
  return {{"milliseconds",
           {{"min", best}, {"median", timing.milliseconds[timing.milliseconds.size() / 2]}}},
          {"images_per_second", images_per_second},
          {"gflops_per_second", images_per_second * flops_per_image / 1e9},
          {"peak_memory_mib", static_cast<double>(peak_memory()) / (1 << 20)},
          {"precision", name_of(options.train.precision)},
          {"threads", torch::get_num_threads()},
          {"batch", options.train.batch},
          {"loss", timing.loss}};
}

int measure_step(const po::variables_map& args) {
  PretrainRun run = read_bench_run(args);
  const int64_t steps = args["steps"].as<int64_t>();
  if (steps < 1) fail_usage("--steps: {} is not in [1, inf)", steps);
  if (run.options.train.threads > 0) {
    torch::set_num_threads(static_cast<int>(run.options.train.threads));
  }
  const at::Device device = choose_device(args["device"].as<std::string>());
  decide_for_machine(run.options, device);
  torch::manual_seed(static_cast<uint64_t>(run.options.train.seed));
  const auto objective = run.build();
  objective->to(device);
  objective->train();
  TimedCommunicator* watched = nullptr;
  std::unique_ptr<JoinedWorld> joined;
  if (!world().alone()) {
    auto timed = std::make_unique<TimedCommunicator>(world());
    watched = timed.get();
    joined = std::make_unique<JoinedWorld>(std::move(timed));
  }
  const Timing timing = time_steps(*objective, run.options, steps, watched);
  auto line = describe(timing, run.options, objective->flops_per_image());
  if (watched != nullptr) {
    line["processes"] = world().size();
    line["milliseconds"]["communication"] = timing.communication;
    line["milliseconds"]["exposed"] = timing.exposed;
  }
  if (world().leads()) print(line.dump() + "\n");
  return 0;
}

}  // namespace

int bench_step(int argc, char** argv) {
  po::options_description options("Options");
  add_run_options(options);
  options.add_options()(
      "steps", po::value<int64_t>()->default_value(5), "steps timed, after 2 that are not")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  return run(argc,
             argv,
             "bench step: times whole training steps (forward, backward, optimizer) of a recipe on "
             "random\n"
             "pictures in memory. images_per_second is that of the fastest step; gflops_per_second "
             "counts the\n"
             "arithmetic that is done, not that of the plain method.",
             options,
             measure_step);
}

}  // namespace previt::cli
