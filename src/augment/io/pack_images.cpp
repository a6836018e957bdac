#include "augment/io/pack_images.h"

#include <torch/types.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "augment/dataset/dataset.h"
#include "augment/encode_png.h"
#include "augment/io/encode_jpeg.h"
#include "augment/io/pack_output.h"
#include "augment/open_dataset.h"
#include "augment/views.h"
#include "error.h"
#include "files.h"
#include "in_threads.h"
#include "options.h"

namespace previt {
namespace {

constexpr int kQuality = 95;
constexpr auto kCommitEvery = std::chrono::seconds(5);

/// The size that an image is to have: its longer side has at most `max_side` pixels.
ImageSize shrunk(const ImageSize& size, int64_t max_side) {
  const int64_t longer = std::max(size.height, size.width);
  if (max_side == 0 || longer <= max_side) return size;
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, (side * max_side + longer / 2) / longer);
  };
  return {scaled(size.height), scaled(size.width)};
}

/// Decodes at the smallest scale that still has twice the wanted size, then resizes (bicubic,
/// antialiased).
Image read_at(SampleReader& reader, const ImageSize& size, const ImageSize& wanted) {
  int64_t reduction = 8;
  while (reduction > 1 && (size.height < 2 * reduction * wanted.height ||
                           size.width < 2 * reduction * wanted.width)) {
    reduction /= 2;
  }
  Region region;
  reader.decode({0, 0, size.height, size.width}, reduction, region);
  if (wanted == size) return std::move(region.pixels);
  ViewSpec spec;
  spec.height = wanted.height;
  spec.width = wanted.width;
  ViewPlan plan;
  plan.crop.box = {0, 0, size.height, size.width};
  plan.crop.window = {0, 0, static_cast<double>(size.height), static_cast<double>(size.width)};
  Image image(wanted.height, wanted.width);
  render_view(region, spec, plan, image.pixels.data());
  return image;
}

std::vector<uint8_t> to_file(Image& image, bool shrunk) {
  std::string file;
  if (shrunk) {
    file = encode_jpeg(image, kQuality);
  } else {
    const auto pixels =
        torch::from_blob(image.pixels.data(), {image.height, image.width, 3}, torch::kUInt8);
    file = encode_png(pixels);
  }
  return {file.begin(), file.end()};
}

/// The splits one after another, and how an input becomes a packed image.
class Source {
 public:
  explicit Source(const PackOptions& options) : options_(options) {
    auto splits = dataset_splits(options.data);
    if (options.split != Split::all) splits = {options.split};
    for (const Split split : splits) {
      parts_.push_back({open_dataset(options.data, split), split == Split::val});
      inputs_ += parts_.back().dataset->size();
    }
  }

  int64_t inputs() const { return inputs_; }
  std::vector<std::string> class_names() const { return parts_[0].dataset->class_names(); }

  /// Differs where going on would mix images of one state of the data with classes of another.
  std::string contents() const {
    Checksum names;
    const auto add = [&](const std::string& name) { names.update(name.c_str(), name.size() + 1); };
    for (const auto& name : class_names()) add(name);
    for (int64_t i = 0; i < inputs_; ++i) add(this->name(i));
    return names.hex();
  }

  /// A thread's own readers, one per split.
  using Readers = std::vector<std::unique_ptr<SampleReader>>;
  Readers readers() const {
    Readers readers;
    for (const auto& part : parts_) readers.push_back(part.dataset->reader());
    return readers;
  }

  std::string name(int64_t input) const {
    const auto [part, index] = locate(input);
    return parts_[part].dataset->name(index);
  }

  PackedImage image(int64_t input, Readers& readers) const {
    const auto [part, index] = locate(input);
    auto& reader = *readers[part];
    PackedImage packed;
    packed.label = parts_[part].dataset->label(index);
    packed.val = parts_[part].val;
    packed.name = parts_[part].dataset->name(index);
    const ImageSize size = reader.open(index);
    const ImageSize wanted = shrunk(size, options_.max_side);
    packed.height = wanted.height;
    packed.width = wanted.width;
    const auto file = reader.file();
    if (options_.store == PixelStore::encoded && wanted == size && !file.empty()) {
      packed.bytes.assign(file.begin(), file.end());
      return packed;
    }
    Image pixels = read_at(reader, size, wanted);
    packed.bytes = options_.store == PixelStore::raw ? std::move(pixels.pixels)
                                                     : to_file(pixels, !(wanted == size));
    return packed;
  }

 private:
  struct Part {
    std::shared_ptr<Dataset> dataset;
    bool val;
  };
  std::pair<size_t, int64_t> locate(int64_t input) const {
    const int64_t first = parts_[0].dataset->size();
    return input < first ? std::pair<size_t, int64_t>{0, input}
                         : std::pair<size_t, int64_t>{1, input - first};
  }

  const PackOptions& options_;
  std::vector<Part> parts_;
  int64_t inputs_ = 0;
};

/// Makes several inputs at once, in threads, and returns them in order.
class InputBlock {
 public:
  InputBlock(const Source& source, int64_t workers) : source_(source) {
    for (int64_t i = 0; i < workers; ++i) readers_.push_back(source.readers());
  }

  struct Result {
    std::optional<PackedImage> image;
    std::string reason;  // if there is none
    std::exception_ptr broken;
  };

  std::vector<Result> make(int64_t first, int64_t count) {
    std::vector<Result> results(static_cast<size_t>(count));
    std::atomic<int64_t> next = 0;
    in_threads(std::ssize(readers_), [&](int64_t thread) {
      Source::Readers& readers = readers_[static_cast<size_t>(thread)];
      for (int64_t i = next++; i < count; i = next++) {
        try {
          results[i].image = source_.image(first + i, readers);
        } catch (const DatasetError&) {
          results[i].broken = std::current_exception();
        } catch (const std::exception& e) {
          results[i].reason = e.what();
        }
      }
    });
    return results;
  }

 private:
  const Source& source_;
  std::vector<Source::Readers> readers_;
};

/// A pack outlives what it is made of, so that what it lacks may be lost.
void require_few_skipped(PackOutput& writer, const PackOptions& options, int64_t inputs) {
  const double allowed = options.max_bad_fraction * static_cast<double>(inputs);
  if (static_cast<double>(writer.skipped()) <= allowed) return;
  writer.commit();
  fail(
      "{}: {} of {} images can't be read, more than --max-bad-fraction {} allows; with a larger "
      "one "
      "the same command goes on, and tries them again once {}.partial is deleted",
      options.data,
      writer.skipped(),
      inputs,
      options.max_bad_fraction,
      options.out);
}

}  // namespace

PackReport pack_images(const PackOptions& options,
                       const std::function<bool()>& stop,
                       const std::function<void(const PackReport&)>& progress,
                       const std::function<void(const std::string&)>& log) {
  std::error_code none;
  if (options.shard_size > 0 && std::filesystem::equivalent(options.data, options.out, none)) {
    fail_usage("--out: {} is what is read; its shards can't be replaced by others", options.out);
  }
  const Source source(options);
  PackOutput writer(
      options.out,
      {.store = options.store,
       .max_side = options.max_side,
       .source = std::filesystem::absolute(options.data).string() + ":" + name_of(options.split),
       .contents = source.contents(),
       .inputs = source.inputs(),
       .class_names = source.class_names()},
      options.shard_size);
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const int64_t workers = options.workers > 0 ? options.workers : cores;
  InputBlock block(source, workers);
  const auto report = [&] {
    return PackReport{
        writer.images(), writer.skipped(), source.inputs(), writer.total_bytes(), false};
  };
  auto committed = std::chrono::steady_clock::now();
  while (writer.next_input() < source.inputs()) {
    const int64_t first = writer.next_input();
    const auto results = block.make(first, std::min(8 * workers, source.inputs() - first));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].broken) std::rethrow_exception(results[i].broken);
      if (results[i].image) {
        writer.add(*results[i].image);
      } else {
        log(fmt::format(
            "{}: {}; skipped", source.name(first + static_cast<int64_t>(i)), results[i].reason));
        writer.skip();
      }
    }
    progress(report());
    const bool stopping = stop();
    if (stopping || std::chrono::steady_clock::now() - committed > kCommitEvery) {
      writer.commit();
      committed = std::chrono::steady_clock::now();
    }
    if (stopping) {
      auto state = report();
      state.interrupted = true;
      return state;
    }
  }
  require(
      writer.images() > 0, "{}: not one of {} images can be read", options.data, source.inputs());
  require_few_skipped(writer, options, source.inputs());
  writer.finish();
  return report();
}

}  // namespace previt
