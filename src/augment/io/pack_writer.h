#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "augment/io/pack_format.h"

namespace previt {

/// One image on its way into a pack.
struct PackedImage {
  std::vector<uint8_t> bytes{};
  int64_t height = 0, width = 0;
  int64_t label = -1;
  bool val = false;
  std::string name{};
};

/// Writes <path>.partial and renames it to <path> at the end. It continues an interrupted one from
/// its last commit(). It holds no more than a chunk of pixels in memory. Throws Error led by the
/// path.
class PackWriter {
 public:
  /// Throws Error if there is a .partial that was begun for another source or with other options.
  PackWriter(const std::string& path, const PackInfo& info);
  ~PackWriter();

  int64_t next_input() const;  ///< number of the input to continue with
  int64_t skipped() const;
  int64_t images() const;
  uint64_t total_bytes() const;  ///< of pixels or files

  void add(const PackedImage& image);  ///< the next input
  void skip();                         ///< the next input can't be read
  void commit();                       ///< from here on, what was added survives a crash
  void finish();                       ///< commits, adds the trailer and renames

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace previt
