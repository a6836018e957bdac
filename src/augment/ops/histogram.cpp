#include <algorithm>
#include <array>

#include "augment/ops/color.h"

namespace previt {
namespace {

using Histogram = std::array<int64_t, 256>;
using Table = std::array<uint8_t, 256>;

// Maps the values of each channel through the table made from the channel's histogram.
template <class MakeTable>
void remap_channels(Pixels image, MakeTable make_table) {
  for (int64_t c = 0; c < image.channels; ++c) {
    Histogram histogram{};
    for (int64_t i = c; i < image.size(); i += image.channels) ++histogram[image.data[i]];
    const Table table = make_table(histogram);
    for (int64_t i = c; i < image.size(); i += image.channels) image.data[i] = table[image.data[i]];
  }
}

Table identity() {
  Table table;
  for (int v = 0; v < 256; ++v) table[v] = static_cast<uint8_t>(v);
  return table;
}

uint8_t clip(int64_t value) { return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255)); }

Table stretched(const Histogram& histogram) {
  int low = 0, high = 255;
  while (low < 255 && histogram[low] == 0) ++low;
  while (high > 0 && histogram[high] == 0) --high;
  Table table = identity();
  if (high <= low) return table;
  const double scale = 255.0 / (high - low);
  for (int v = 0; v < 256; ++v) table[v] = clip(static_cast<int64_t>(v * scale - low * scale));
  return table;
}

Table flattened(const Histogram& histogram) {
  int64_t pixels = 0, last = 0;
  for (const int64_t count : histogram) {
    pixels += count;
    if (count > 0) last = count;
  }
  Table table = identity();
  // As in Pillow's ImageOps.equalize, the last count that isn't 0 is left out.
  const int64_t step = (pixels - last) / 255;
  if (step == 0) return table;
  int64_t below = step / 2;
  for (int v = 0; v < 256; ++v) {
    table[v] = clip(below / step);
    below += histogram[v];
  }
  return table;
}

}  // namespace

void autocontrast(Pixels image) { remap_channels(image, stretched); }

void equalize(Pixels image) { remap_channels(image, flattened); }

}  // namespace previt
