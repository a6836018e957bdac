// pack_dataset: images, labels and names in one HDF5 file, or in several with an index.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "augment/io/pack_images.h"
#include "cli/main.h"
#include "error.h"
#include "log.h"
#include "options.h"
#include "pretrain/train/stop_signal.h"
#include "progress.h"

using namespace previt;

namespace {

/// Shows the progress: live on a terminal, else a line every ten seconds.
class Counter {
 public:
  void show(const PackReport& report) {
    const auto now = Clock::now();
    const int64_t done = report.images + report.skipped;
    if (first_ < 0) first_ = done;
    const double interval = log_is_terminal() ? 0.2 : 10;
    if (std::chrono::duration<double>(now - shown_).count() < interval) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - started_).count();
    const double rate = static_cast<double>(done - first_) / seconds;
    const double left = static_cast<double>(report.inputs - done) / std::max(rate, 1e-6);
    const auto line = fmt::format(
        "{} of {} images, {:.0f}/s, {} left", done, report.inputs, rate, duration_text(left));
    log_is_terminal() ? set_live_line(line) : log_line(line);
  }
  ~Counter() { set_live_line(""); }

 private:
  using Clock = std::chrono::steady_clock;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = started_;
  // What an earlier, stopped run had packed; it would flatter the rate.
  int64_t first_ = -1;
};

// "2G", "500M" or "100000": bytes, in powers of 1024.
uint64_t shard_size_of(const std::string& text) {
  constexpr std::string_view kUnits = "KMGT";
  uint64_t size = 0;
  const char *begin = text.data(), *end = begin + text.size();
  auto [at, error] = std::from_chars(begin, end, size);
  const size_t unit = at + 1 == end ? kUnits.find(*at) : std::string_view::npos;
  const int shift = unit == std::string_view::npos ? 0 : 10 * static_cast<int>(unit + 1);
  if (error != std::errc() || (at != end && shift == 0) || size > UINT64_MAX >> shift) {
    fail_usage("--shard-size: {} is no size; wanted is one like 2G, 500M or 100000000", text);
  }
  size <<= shift;
  if (size < kPackChunk) fail_usage("--shard-size: {} is not in [4M, ∞)", text);
  return size;
}

PackOptions options_of(const cli::po::variables_map& values) {
  PackOptions options;
  options.data = values["data"].as<std::string>();
  options.out = values["out"].as<std::string>();
  options.store = enum_named<PixelStore>(values["store"].as<std::string>(), "--store");
  options.split = enum_named<Split>(values["split"].as<std::string>(), "--split");
  options.max_side = values["max-side"].as<int64_t>();
  options.workers = values["workers"].as<int64_t>();
  if (values.count("shard-size") != 0) {
    options.shard_size = shard_size_of(values["shard-size"].as<std::string>());
  }
  if (options.max_side < 0) fail_usage("--max-side: {} is not in [0, ∞)", options.max_side);
  options.max_bad_fraction = values["max-bad-fraction"].as<double>();
  if (!(options.max_bad_fraction >= 0 && options.max_bad_fraction <= 1)) {
    fail_usage("--max-bad-fraction: {} is not in [0, 1]", options.max_bad_fraction);
  }
  if (options.workers < 0) fail_usage("--workers: {} is not in [0, ∞)", options.workers);
  return options;
}

int pack(const cli::po::variables_map& values) {
  const auto options = options_of(values);
  require(values.count("force") != 0 || !std::filesystem::exists(options.out),
          "{}: exists already (--force replaces it)",
          options.out);
  const StopSignal stop;
  PackReport report;
  {
    Counter counter;
    report = pack_images(
        options,
        [&] { return stop.exit_code() != 0; },
        [&](const PackReport& r) { counter.show(r); },
        log_warning);
  }
  if (report.interrupted) {
    info("{}: stopped after {} of {} images; the same command goes on",
         options.out,
         report.images + report.skipped,
         report.inputs);
    return stop.exit_code();
  }
  cli::print(fmt::format("{}: {} images, {} skipped, {:.1f} MB\n",
                         options.out,
                         report.images,
                         report.skipped,
                         static_cast<double>(report.bytes) / 1e6));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  namespace po = cli::po;
  po::options_description options("options");
  options.add_options()("data",
                        po::value<std::string>()->required(),
                        "folder of images, CIFAR-10 folder, pack or synthetic:SPEC")(
      "out", po::value<std::string>()->required(), "the pack to write, .h5")(
      "split", po::value<std::string>()->default_value("all"), "train, val or all")(
      "store",
      po::value<std::string>()->default_value("encoded"),
      "encoded: image files as they are; raw: pixels, larger and faster to read")(
      "max-side",
      po::value<int64_t>()->default_value(0),
      "shrink images whose longer side is more pixels")(
      "shard-size",
      po::value<std::string>(),
      "files of at most so many bytes (2G), and their index")(
      "max-bad-fraction",
      po::value<double>()->default_value(0.1, "0.1"),
      "share of unreadable images above which no pack is made")(
      "workers", po::value<int64_t>()->default_value(0), "threads; 0: one per core")(
      "force", "replace an existing pack");
  return cli::run(
      argc, argv, "pack_dataset: packs images, labels and names into one HDF5 file", options, pack);
}
