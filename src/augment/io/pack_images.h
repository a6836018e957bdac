#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "augment/dataset/dataset.h"
#include "augment/io/pack_format.h"

namespace previt {

/// What to pack, and how.
struct PackOptions {
  std::string data{};  ///< anything that open_dataset takes
  std::string out{};   ///< the pack; exists only once it is complete
  Split split = Split::all;
  PixelStore store = PixelStore::encoded;
  int64_t max_side = 0;     ///< pixels of the longer side, to which larger images shrink; 0: none
  int64_t workers = 0;      ///< threads; 0: one per core
  uint64_t shard_size = 0;  ///< most bytes of images in a file, of several; 0: one file
  double max_bad_fraction = 0.1;  ///< share of unreadable images above which there is no pack
};

/// How far packing has come.
struct PackReport {
  int64_t images = 0, skipped = 0, inputs = 0;
  uint64_t bytes = 0;        ///< of pixels or files
  bool interrupted = false;  ///< the same call continues from here
};

/// Packs a dataset, or continues an interrupted packing. Image files are copied as they are unless
/// they have to shrink, which makes them JPEGs of quality 95. Images that come from no file become
/// PNGs. Unreadable images are left out and reported to `log`. After each block of a few images per
/// thread, `progress` is told and `stop` asked; memory holds no more than such a block. Throws
/// Error if no image can be read or too many can't be, UsageError if shards would replace those that
/// it reads.
PackReport pack_images(const PackOptions& options,
                       const std::function<bool()>& stop,
                       const std::function<void(const PackReport&)>& progress,
                       const std::function<void(const std::string&)>& log);

}  // namespace previt
