#pragma once

#include <memory>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// `synthetic:` followed by key=value pairs, for example "shapes,size=64,count=2000".
struct SyntheticOptions {
  std::string kind = "shapes";  ///< shapes | species
  int64_t size = 64;            ///< pixels a side
  int64_t count = 2000;         ///< training samples
  int64_t val = 500;            ///< validation samples
  int64_t seed = 0;
  int64_t labels = 0;  ///< keep only so many training samples a class; 0: all
};

/// Throws UsageError naming the nearest valid key.
SyntheticOptions parse_synthetic(const std::string& spec);

/// Generated scenes: one textured object of ten shape classes, a little tilted, of any size and
/// place, on a textured background with fragments lying about. Of `shapes` only the outline tells
/// the class; `species` have a pattern and a hue of their own too, as animals do. Sample i of class
/// i % 10 is the same for the same seed, whatever `count` is; "train" and "val" share none, "all"
/// is one after the other.
std::shared_ptr<Dataset> make_synthetic(const SyntheticOptions& options, const std::string& split);

}  // namespace previt
