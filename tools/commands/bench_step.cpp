#include "commands/bench_step.h"

#include <ATen/DeviceAccelerator.h>
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/device.h"
#include "cli/launch.h"
#include "cli/main.h"
#include "commands/bench_run.h"
#include "commands/device_ceilings.h"
#include "commands/machine_choices.h"
#include "commands/step_trace.h"
#include "communicator.h"
#include "error.h"
#include "memory.h"
#include "models/kernels/matmul_ways.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/same_start.h"
#include "pretrain/train/stepper.h"

namespace previt::cli {
namespace {

constexpr int64_t kWarmupSteps = 2;  // before the clock: memory is touched, kernels are chosen
constexpr int64_t kTracedSteps = 3;  // after it, as a trace takes time itself

struct Timing {
  std::vector<double> milliseconds;  // ascending
  double matmuls = 0;                // share of a step that is spent in them
  double loss = 0;
  bool replayed = false;    // by a graph of the device
  Traffic traffic;          // of the timed steps
  std::vector<Span> spans;  // of a GPU, in kTracedSteps
};

Traffic between(const Traffic& before, const Traffic& after) {
  return {.bytes = after.bytes - before.bytes,
          .seconds = after.seconds - before.seconds,
          .exposed = after.exposed - before.exposed};
}

// The most bytes that tensors had on a GPU; 0 elsewhere, and before LibTorch 2.9.
int64_t peak_device_memory([[maybe_unused]] at::Device device) {
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 9
  if (device.is_cuda()) {
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return at::accelerator::getDeviceStats(device.index()).allocated_bytes[all].peak;
  }
#endif
  return 0;
}

Timing time_steps(Objective& objective,
                  const RunOptions& options,
                  int64_t steps,
                  const std::string& trace_path) {
  Stepper stepper(objective, options);
  const Batch pictures = random_pictures(objective, options, options.train.micro());
  StepInfo info = middle_step();
  Timing timing;
  Traffic before;
  const auto step = [&] {
    const StepOutcome outcome = stepper.step(info, options.train.batch, [&] { return pictures; });
    ++info.step;
    if (stepper.device().is_cuda()) torch::cuda::synchronize(stepper.device().index());
    return outcome;
  };
  stepper.settle(step);
  timing.replayed = stepper.graphed() != nullptr && stepper.graphed()->replays();
  const int64_t last = kWarmupSteps + steps;  // one more, for the matmuls
  for (int64_t i = 0; i <= last; ++i) {
    if (i == kWarmupSteps) before = stepper.traffic();
    if (i == last) {
      timing.traffic = between(before, stepper.traffic());
      matmul_ways().start_clock();
    }
    world().barrier();
    const auto begin = std::chrono::steady_clock::now();
    const StepOutcome outcome = step();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    if (i == last) {
      timing.matmuls = matmul_ways().stop_clock() * 1e3 / spent.count();
    } else if (i >= kWarmupSteps) {
      timing.milliseconds.push_back(spent.count());
    }
    timing.loss = outcome.loss;
  }
  if (!trace_path.empty() || stepper.device().is_cuda()) {
    const auto steps_again = [&] {
      for (int64_t i = 0; i < kTracedSteps; ++i) step();
    };
    if (world().leads()) {
      timing.spans = trace(trace_path, stepper.device(), steps_again);
    } else {
      steps_again();
    }
  }
  std::sort(timing.milliseconds.begin(), timing.milliseconds.end());
  return timing;
}

nlohmann::ordered_json describe(const Timing& timing,
                                const RunOptions& options,
                                at::Device device,
                                double flops_per_image) {
  const double best = timing.milliseconds.front();
  const double images_per_second = static_cast<double>(options.train.batch) / best * 1e3;
  return {{"milliseconds",
           {{"min", best}, {"median", timing.milliseconds[timing.milliseconds.size() / 2]}}},
          {"images_per_second", images_per_second},
          {"gflops_per_second", images_per_second * flops_per_image / 1e9},
          {"matmul_share", timing.matmuls},
          {"peak_memory_mib", static_cast<double>(peak_memory()) / (1 << 20)},
          {"device", device.str()},
          {"device_memory_mib", static_cast<double>(peak_device_memory(device)) / (1 << 20)},
          {"precision", name_of(options.train.precision)},
          {"threads", torch::get_num_threads()},
          {"batch", options.train.batch},
          {"loss", timing.loss}};
}

// How near all processes came to what their devices reach, and what a GPU had to do.
void add_use_of_device(nlohmann::ordered_json& line,
                       const Timing& timing,
                       const RunOptions& options,
                       at::Device device) {
  const Ceilings ceilings = measure_ceilings(device, scalar_type(options.train.precision));
  line["mfu"] = line["gflops_per_second"].get<double>() * 1e9 /
                (ceilings.flops * static_cast<double>(world().size()));
  if (!device.is_cpu()) line["replayed"] = timing.replayed;
  line["ceilings"] = {{"gflops_per_second", ceilings.flops / 1e9},
                      {"copy_gb_per_second", ceilings.bytes / 1e9}};
  if (timing.spans.empty()) return;
  line["launches"] = static_cast<double>(timing.spans.size()) / kTracedSteps;
  line["device_idle"] = idle_share(timing.spans);
}

// What rank 0 sent in a step, and how long.
nlohmann::ordered_json describe(const Traffic& traffic, int64_t steps) {
  const auto number = static_cast<double>(steps);
  return {{"mib", static_cast<double>(traffic.bytes) / number / (1 << 20)},
          {"milliseconds", traffic.seconds * 1e3 / number},
          {"exposed_milliseconds", traffic.exposed * 1e3 / number}};
}

int measure_step(const po::variables_map& args) {
  PretrainRun run = read_bench_run(args);
  const int64_t steps = args["steps"].as<int64_t>();
  if (steps < 1) fail_usage("--steps: {} is not in [1, inf)", steps);
  if (run.options.train.threads > 0) {
    torch::set_num_threads(static_cast<int>(run.options.train.threads));
  }
  const at::Device device = choose_device(args["device"].as<std::string>());
  run.options.train.require_shareable();
  decide_for_machine(run.options, device);
  torch::manual_seed(static_cast<uint64_t>(run.options.train.seed));
  const auto objective = run.build();
  objective->to(device);
  objective->train();
  share_weights(*objective);
  const std::string trace_path = args.count("trace") != 0 ? args["trace"].as<std::string>() : "";
  const Timing timing = time_steps(*objective, run.options, steps, trace_path);
  auto line = describe(timing, run.options, device, objective->flops_per_image());
  if (!world().alone()) {
    line["processes"] = world().size();
    line["communication"] = describe(timing.traffic, steps);
  }
  if (!world().leads()) return 0;
  add_use_of_device(line, timing, run.options, device);
  print(line.dump() + "\n");
  return 0;
}

}  // namespace

int bench_step(int argc, char** argv) {
  po::options_description options("Options");
  add_run_options(options);
  options.add_options()(
      "steps", po::value<int64_t>()->default_value(5), "steps timed, after 2 that are not")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N")(
      "trace", po::value<std::string>(), "file for a Chrome trace of 3 more steps, untimed");
  add_nproc_option(options);
  return run(
      argc,
      argv,
      "bench step: times whole training steps (forward, backward, optimizer) of a recipe on "
      "random\n"
      "pictures in memory. images_per_second is that of the fastest step; gflops_per_second counts "
      "the\n"
      "arithmetic that is done, not that of the plain method. matmul_share is the part of one "
      "more\n"
      "step that is spent in the matmuls of layers, on a CPU. mfu is the share of what a large "
      "product\n"
      "of the run's type reaches, which is measured too (ceilings, beside a copy). On a GPU, what "
      "a step\n"
      "launches and the share of time in which none of it ran, under LibTorch's profiler "
      "(launches,\n"
      "device_idle), and whether it is replayed (train.cuda_graph). With several processes, what "
      "they send each other in a step, from the first\n"
      "gradient to the last, and for how much of that rank 0 waits (exposed).",
      options,
      measure_step);
}

}  // namespace previt::cli
