#include "commands/bench_loader.h"

#include <c10/util/ParallelGuard.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "augment/sample_renderer.h"
#include "cli/main.h"
#include "clocks.h"
#include "commands/bench_run.h"
#include "commands/training_data.h"
#include "error.h"
#include "log.h"

namespace previt::cli {
namespace {

constexpr int64_t kWarmupBatches = 2;  // batches before the clock

struct Rates {
  double wall = 0;       ///< images a second
  double processor = 0;  ///< images a second of processor time
};

Rates loader_rates(BatchSource& loader, int64_t batches) {
  for (int64_t i = 0; i < kWarmupBatches; ++i) loader.next();
  const auto begin = std::chrono::steady_clock::now();
  const double processor = process_seconds();
  int64_t images = 0;
  for (int64_t i = 0; i < batches; ++i) images += loader.next().indices.size(0);
  const auto count = static_cast<double>(images);
  return {count / seconds_since(begin), count / (process_seconds() - processor)};
}

/// The share of a sample's time that goes into reading and decoding. The rest is resizing and
/// colours.
double decode_share(const Dataset& dataset, const std::vector<ViewSpec>& specs, int64_t images) {
  const c10::ParallelGuard serial(true);
  const auto reader = dataset.reader();
  Region region;
  std::vector<uint8_t> out;
  double decoding = 0, rendering = 0;
  for (int64_t i = 0; i < images; ++i) {
    Random random(0, Stream::views, {0, static_cast<uint64_t>(i)});
    try {
      const double start = process_seconds();
      const ImageSize size = reader->open(i % dataset.size());
      const auto plans = plan_views(specs, size.height, size.width, random);
      reader->decode(union_of_boxes(plans), allowed_reduction(specs, plans), region);
      const double decoded = process_seconds();
      for (const auto& plan : plans) {
        const auto& spec = specs[plan.spec];
        out.resize(static_cast<size_t>(spec.height * spec.width * 3));
        render_view(region, spec, plan, out.data());
      }
      decoding += decoded - start;
      rendering += process_seconds() - decoded;
    } catch (const UsageError&) {
      throw;
    } catch (const Error&) {  // an unreadable image: the loader reports it
    }
  }
  return decoding / std::max(decoding + rendering, 1e-9);
}

int measure_loader(const po::variables_map& args) {
  const int64_t batches = args["batches"].as<int64_t>();
  if (batches < 1) fail_usage("--batches: {} is not in [1, inf)", batches);
  LoaderOptions options;
  options.batch = args["batch"].as<int64_t>();
  if (options.batch < 1) fail_usage("--batch: {} is not in [1, inf)", options.batch);
  PretrainRun run = read_bench_run(args);
  DataOptions& data = run.options.data;
  data.path = args["data"].as<std::string>();
  const auto dataset =
      open_dataset(data.path, enum_named<Split>(args["split"].as<std::string>(), "--split"));
  const auto specs = loaded_views(data, *dataset, run.build()->views());
  options.workers = args["workers"].as<int64_t>();
  if (options.workers == 0) options.workers = std::max(1u, std::thread::hardware_concurrency());
  options.drop_last = false;

  const auto loader = make_loader(dataset, specs, options, log_warning);
  const Rates rates = loader_rates(*loader, batches);
  const nlohmann::ordered_json line = {
      {"images_per_second", rates.wall},
      {"per_core", rates.processor},
      {"workers", options.workers},
      {"decode_share", decode_share(*dataset, specs, std::min<int64_t>(dataset->size(), 500))},
      {"batch", options.batch},
      {"batches", batches},
      {"images", dataset->size()},
      {"unreadable", loader->bad_samples()}};
  print(line.dump() + "\n");
  return 0;
}

}  // namespace

int bench_loader(int argc, char** argv) {
  po::options_description options("Options");
  const auto number = [](int64_t value) { return po::value<int64_t>()->default_value(value); };
  options.add_options()("recipe", po::value<std::string>()->required(), "the recipe (YAML)")(
      "data", po::value<std::string>()->required(), "anything that pretrain --data takes")(
      "split", po::value<std::string>()->default_value("train"), "train, val or all")(
      "workers", number(0), "threads; 0: one per core")("batch", number(64), "images a batch")(
      "batches", number(20), "batches timed, after 2 that are not")(
      "set",
      po::value<std::vector<std::string>>()->default_value({}, "")->composing(),
      "key.path=value on top of the recipe");
  return run(argc,
             argv,
             "bench loader: times reading, decoding and augmenting the pictures of --data into a "
             "recipe's\nviews, with data.device_augment the part that the processor does. per_core "
             "is images per\nsecond of processor time.",
             options,
             measure_loader);
}

}  // namespace previt::cli
