#pragma once

#include <map>
#include <string>

#include "json_options.h"
#include "models/tokenizers/image_grid.h"
#include "models/tokenizers/tokenizer.h"

namespace previt {

/// A tokenizer that knows its sizes from an ImageGrid. Each kind of trained tokenizer derives from
/// it and has a type `Options` (with visit), a name `kKind`, and a constructor from the options;
/// tokenizer.cpp lists the kinds.
class GridTokenizer : public Tokenizer {
 public:
  explicit GridTokenizer(ImageGrid grid) : grid_(std::move(grid)) {}

  int64_t image_height() const override { return grid_.height(); }
  int64_t image_width() const override { return grid_.width(); }
  int64_t image_channels() const override { return grid_.in_channels; }
  int64_t grid_height() const override { return grid_.rows(); }
  int64_t grid_width() const override { return grid_.columns(); }

 protected:
  const ImageGrid& grid() const { return grid_; }

 private:
  ImageGrid grid_;
};

/// What the header of a weights file says about a tokenizer: its kind and its options.
template <class Kind>
std::map<std::string, std::string> describe_tokenizer(const typename Kind::Options& options) {
  return {{"tokenizer", Kind::kKind}, {"tokenizer_options", options_to_json(options).dump()}};
}

}  // namespace previt
