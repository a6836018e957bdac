#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace previt {

struct PackOptions {
  std::string data{};             ///< anything that open_dataset takes
  std::string out{};              ///< the pack; exists only once it is complete
  std::string split = "all";      ///< train | val | all
  std::string store = "encoded";  ///< encoded: image files; raw: pixels
  int64_t max_side = 0;           ///< shrink what is larger; 0: nothing
  int64_t workers = 0;            ///< threads; 0: one per core
};

struct PackReport {
  int64_t images = 0, skipped = 0, inputs = 0;
  uint64_t bytes = 0;        ///< of pixels or files
  bool interrupted = false;  ///< the same call goes on from here
};

/// Packs a dataset, or goes on packing. Image files are taken over as they are unless they have to
/// shrink (then JPEG, quality 95; what comes from no file becomes PNG). Unreadable images are left
/// out and named to `log`. `stop` is asked now and then, `progress` told; memory holds a few images
/// a thread.
PackReport pack_images(const PackOptions& options,
                       const std::function<bool()>& stop,
                       const std::function<void(const PackReport&)>& progress,
                       const std::function<void(const std::string&)>& log);

}  // namespace previt
