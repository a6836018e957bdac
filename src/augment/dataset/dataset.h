#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "augment/image.h"

namespace previt {

struct Region;  // augment/views.h

/// Height and width of an upright image, in pixels.
struct ImageSize {
  int64_t height = 0, width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// Reads a dataset's samples one after the other and keeps buffers and decoders between them. A
/// thread has its own.
class SampleReader {
 public:
  virtual ~SampleReader() = default;

  /// Goes to sample `index` and returns its size, as a rule without decoding it. Throws Error,
  /// without the sample's name in the message, if it can't be read.
  virtual ImageSize open(int64_t index) = 0;

  /// Decodes at least `box` of the open sample into RGB, at full size or 1/2, 1/4, 1/8 of it, but
  /// no smaller than 1/`reduction`. May be called again for another box. Throws Error on damaged
  /// data.
  virtual void decode(const Box& box, int64_t reduction, Region& region) = 0;

  /// The open sample's image file as it is; empty if it comes from none.
  virtual std::span<const uint8_t> file() const { return {}; }
};

/// Numbered images with an optional class each. Const and safe for any number of threads; the
/// pixels come through readers.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::unique_ptr<SampleReader> reader() const = 0;

  virtual int64_t label(int64_t) const { return -1; }  ///< class, -1: none
  virtual std::string name(int64_t index) const { return std::to_string(index); }
  virtual std::vector<std::string> class_names() const { return {}; }
  /// One channel, 255 on the object; only generated scenes know.
  virtual std::optional<Image> mask(int64_t) const { return std::nullopt; }
};

/// The whole upright image `index`, RGB.
Image read_image(SampleReader& reader, int64_t index);

/// The samples with these indices, in this order.
std::shared_ptr<Dataset> select(std::shared_ptr<Dataset> dataset, std::vector<int64_t> indices);

/// `per_class` random samples of each class (all of a class that has fewer), in their old order:
/// the few-label setting. Throws Error where there are no labels.
std::shared_ptr<Dataset> subset(std::shared_ptr<Dataset> dataset, int64_t per_class, uint64_t seed);

}  // namespace previt
