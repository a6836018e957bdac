#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "augment/image.h"
#include "communicator.h"
#include "error.h"
#include "random.h"

namespace previt {

struct Region;  // augment/views.h

/// Which images of a divided dataset.
enum class Split { train, val, all };
constexpr auto enum_names(Split) { return std::array{"train", "val", "all"}; }

/// Height and width of an upright image, in pixels.
struct ImageSize {
  int64_t height = 0, width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// The dataset itself, not one of its samples, can't be read: no reason to skip samples and go on.
class DatasetError : public Error {
 public:
  using Error::Error;
};

/// Reads a dataset's samples one after another, and keeps its buffers and decoders in between.
/// Every thread has its own.
class SampleReader {
 public:
  virtual ~SampleReader() = default;

  /// Goes to sample `index` and returns its size, usually without decoding it. Throws Error,
  /// without the sample's name in the message, if it can't be read; DatasetError if many can't.
  virtual ImageSize open(int64_t index) = 0;

  /// Decodes at least `box` of the open sample into RGB, at 1, 1/2, 1/4 or 1/8 of its size, but
  /// never below 1 / `reduction`. May be called again for another box. Throws Error on damaged
  /// data.
  virtual void decode(const Box& box, int64_t reduction, Region& region) = 0;

  /// The bytes of the open sample's image file; empty if it doesn't come from one.
  virtual std::span<const uint8_t> file() const { return {}; }
};

/// Numbered images, each with an optional class. The const functions are safe to call from any
/// thread. Pixels come through readers.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::unique_ptr<SampleReader> reader() const = 0;

  virtual int64_t label(int64_t) const { return -1; }  ///< number of the class; -1: none
  virtual std::string name(int64_t index) const { return std::to_string(index); }
  virtual std::vector<std::string> class_names() const { return {}; }
  /// Where the object is: one channel, 255 on it. Only generated scenes know this.
  virtual std::optional<Image> mask(int64_t) const { return std::nullopt; }
};

/// The whole upright image `index`, RGB. Throws Error if it can't be read.
Image read_image(SampleReader& reader, int64_t index);

/// The samples with these indices, in this order. Throws Error for an index out of range.
std::shared_ptr<Dataset> select(std::shared_ptr<Dataset> dataset, std::vector<int64_t> indices);

/// The samples that this rank evaluates (part_of, by whole batches); all of them where it is alone.
/// Null where there are none for it.
std::shared_ptr<Dataset> own_part(std::shared_ptr<Dataset> dataset,
                                  int64_t batch,
                                  const Communicator& all = world());

/// The few-label setting: `per_class` random samples of each class, or all of a smaller class, in
/// their old order, drawn with `seed` from `stream`. Throws Error if there are no labels.
std::shared_ptr<Dataset> subset(std::shared_ptr<Dataset> dataset,
                                int64_t per_class,
                                uint64_t seed,
                                Stream stream = Stream::few_shot);

}  // namespace previt
