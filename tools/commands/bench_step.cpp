#include "commands/bench_step.h"

#include <ATen/DeviceAccelerator.h>
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/device.h"
#include "cli/main.h"
#include "cli/recipe_path.h"
#include "commands/machine_choices.h"
#include "commands/step_trace.h"
#include "error.h"
#include "memory.h"
#include "models/kernels/matmul_ways.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/stepper.h"

namespace previt::cli {
namespace {

constexpr int64_t kWarmupSteps = 2;  // before the clock: memory is touched, kernels are chosen
constexpr int64_t kTracedSteps = 3;  // after it, as a trace takes time itself

PretrainRun read_run(const po::variables_map& args) {
  Recipe recipe = Recipe::load(find_recipe(args["recipe"].as<std::string>()));
  for (const auto& assignment : args["set"].as<std::vector<std::string>>()) recipe.set(assignment);
  if (args.count("batch") != 0) {
    recipe.set(fmt::format("train.batch={}", args["batch"].as<int64_t>()));
    recipe.set("train.micro_batch=0");
  }
  return PretrainRun::read(recipe);
}

// Random pictures as the loader gives them: uint8, channels last.
Batch random_pictures(const Objective& objective, const RunOptions& options) {
  const int64_t images = options.train.micro();
  Batch batch;
  for (const auto& view : objective.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      batch.views.push_back(
          torch::randint(
              256, {images, options.model.in_channels, view.height, view.width}, torch::kUInt8)
              .contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
  batch.labels = torch::full({images}, -1, torch::kInt64);
  batch.indices = torch::arange(images);
  return batch;
}

struct Timing {
  std::vector<double> milliseconds;  // ascending
  double matmuls = 0;                // share of a step that is spent in them
  double loss = 0;
};

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
  const Batch pictures = random_pictures(objective, options);
  // The middle of a long run: past the warm-up, so that the rate isn't 0.
  StepInfo info{.step = 500, .total_steps = 1000, .steps_per_epoch = 10, .epochs = 100};
  Timing timing;
  const auto step = [&] {
    const StepOutcome outcome = stepper.step(info, options.train.batch, [&] { return pictures; });
    ++info.step;
    if (stepper.device().is_cuda()) torch::cuda::synchronize(stepper.device().index());
    return outcome;
  };
  const int64_t last = kWarmupSteps + steps;  // one more, for the matmuls
  for (int64_t i = 0; i <= last; ++i) {
    if (i == last) matmul_ways().start_clock();
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
  if (!trace_path.empty()) {
    trace(trace_path, stepper.device(), [&] {
      for (int64_t i = 0; i < kTracedSteps; ++i) step();
    });
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

int measure_step(const po::variables_map& args) {
  PretrainRun run = read_run(args);
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
  const std::string trace_path = args.count("trace") != 0 ? args["trace"].as<std::string>() : "";
  const Timing timing = time_steps(*objective, run.options, steps, trace_path);
  print(describe(timing, run.options, device, objective->flops_per_image()).dump() + "\n");
  return 0;
}

}  // namespace

int bench_step(int argc, char** argv) {
  po::options_description options("Options");
  options.add_options()("recipe", po::value<std::string>()->required(), "the recipe (YAML)")(
      "batch", po::value<int64_t>(), "images a step, all at once; without it as the recipe says")(
      "steps", po::value<int64_t>()->default_value(5), "steps timed, after 2 that are not")(
      "set",
      po::value<std::vector<std::string>>()->default_value({}, "")->composing(),
      "key.path=value on top of the recipe")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N")(
      "trace", po::value<std::string>(), "file for a Chrome trace of 3 more steps, untimed");
  return run(argc,
             argv,
             "bench step: times whole training steps (forward, backward, optimizer) of a recipe on "
             "random\n"
             "pictures in memory. images_per_second is that of the fastest step; gflops_per_second "
             "counts the\n"
             "arithmetic that is done, not that of the plain method. matmul_share is the part of "
             "one more\n"
             "step that is spent in the matmuls of layers, on a CPU.",
             options,
             measure_step);
}

}  // namespace previt::cli
