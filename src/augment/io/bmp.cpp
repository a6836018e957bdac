#include "augment/io/bmp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <vector>

#include "augment/io/limits.h"
#include "error.h"

namespace previt {
namespace {

enum Compression { kPlain = 0, kRuns8 = 1, kRuns4 = 2, kMasks = 3, kMasksWithAlpha = 6 };

uint32_t number(Bytes bytes, size_t at, int length) {
  require(at <= bytes.size && bytes.size - at >= static_cast<size_t>(length),
          "damaged BMP (the file is cut short)");
  uint32_t value = 0;
  for (int i = 0; i < length; ++i) value |= uint32_t{bytes.data[at + i]} << (8 * i);
  return value;
}

/// The bits of one colour in a pixel, scaled to 0 … 255 as Pillow does.
struct Mask {
  uint8_t of(uint32_t pixel) const {
    // The added bit keeps the shift below 32 where the mask is empty.
    const uint32_t most = mask >> std::countr_zero(mask | 0x80000000);
    if (most == 0) return 0;
    const uint32_t value = (pixel & mask) >> std::countr_zero(mask);
    return static_cast<uint8_t>(uint64_t{value} * 255 / most);
  }
  uint32_t mask = 0;
};

class Bmp {
 public:
  explicit Bmp(Bytes file);
  Image decode();

 private:
  void read_colors(uint32_t header, uint32_t entry);
  uint8_t* row(int64_t number_in_file) {
    return image_.row(top_down_ ? number_in_file : image_.height - 1 - number_in_file);
  }
  void put(uint8_t* to, uint32_t index) const;
  void read_row(int64_t y, Bytes from);
  void read_runs();
  size_t read_literal(Bytes at, int64_t& x, int64_t y, int64_t count);
  uint32_t run_color(Bytes at, int64_t i) const;

  Bytes file_;
  Image image_;
  int64_t height_ = 0, width_ = 0;
  bool top_down_ = false;
  uint32_t bits_ = 0, compression_ = kPlain;
  std::array<Mask, 3> masks_;
  std::vector<std::array<uint8_t, 3>> palette_;
};

Bmp::Bmp(Bytes file) : file_(file) {
  const uint32_t header = number(file, 14, 4);
  // The oldest header has 12 bytes, sides of 16 bits and palette entries of 3 bytes.
  const bool core = header == 12;
  if (core) {
    width_ = number(file, 18, 2);
    height_ = number(file, 20, 2);
    bits_ = number(file, 24, 2);
  } else {
    width_ = static_cast<int32_t>(number(file, 18, 4));
    const int64_t height = static_cast<int32_t>(number(file, 22, 4));
    // A negative height says that the first row is the top one.
    top_down_ = height < 0;
    height_ = std::abs(height);
    bits_ = number(file, 28, 2);
    compression_ = number(file, 30, 4);
  }
  check_size({height_, width_});
  const bool runs =
      (compression_ == kRuns8 && bits_ == 8) || (compression_ == kRuns4 && bits_ == 4);
  const bool masks =
      (compression_ == kMasks || compression_ == kMasksWithAlpha) && (bits_ == 16 || bits_ == 32);
  const bool plain = compression_ == kPlain && (bits_ == 1 || bits_ == 4 || bits_ == 8 ||
                                                bits_ == 16 || bits_ == 24 || bits_ == 32);
  require(runs || masks || plain,
          "a BMP of {} bits and compression {}, which is not read",
          bits_,
          compression_);
  read_colors(header, core ? 3 : 4);
}

void Bmp::read_colors(uint32_t header, uint32_t entry) {
  // For a file without masks: 5 bits a colour in pixels of 16 bits, 8 in those of 32.
  if (bits_ == 16) masks_ = {{{0x7C00}, {0x3E0}, {0x1F}}};
  if (bits_ == 32) masks_ = {{{0xFF0000}, {0xFF00}, {0xFF}}};
  if (compression_ == kMasks || compression_ == kMasksWithAlpha) {
    for (size_t i = 0; i < 3; ++i) masks_[i].mask = number(file_, 54 + 4 * i, 4);
  }
  if (bits_ > 8) return;
  const uint32_t used = header >= 40 ? number(file_, 46, 4) : 0;
  const uint32_t most = 1U << bits_;
  for (size_t i = 0; i < (used == 0 ? most : std::min(used, most)); ++i) {
    const uint32_t color = number(file_, 14 + header + entry * i, 3);
    palette_.push_back({static_cast<uint8_t>(color >> 16),
                        static_cast<uint8_t>(color >> 8),
                        static_cast<uint8_t>(color)});
  }
  palette_.resize(most);  // what is missing is black
}

Image Bmp::decode() {
  const Bytes pixels = file_.from(number(file_, 10, 4));
  const auto stride = static_cast<size_t>((width_ * bits_ + 31) / 32 * 4);
  const bool runs = compression_ == kRuns8 || compression_ == kRuns4;
  const auto needed = runs ? 1 : stride * static_cast<size_t>(height_ - 1) + 1;
  require(pixels.size >= needed, "damaged BMP (the file is cut short)");
  image_ = Image(height_, width_);
  if (runs) {
    read_runs();
  } else {
    for (int64_t y = 0; y < height_; ++y) read_row(y, pixels.from(stride * static_cast<size_t>(y)));
  }
  return std::move(image_);
}

void Bmp::put(uint8_t* to, uint32_t index) const {
  const auto& color = palette_[index];
  std::copy(color.begin(), color.end(), to);
}

void Bmp::read_row(int64_t y, Bytes from) {
  require(8 * from.size >= static_cast<size_t>(width_) * bits_,
          "damaged BMP (the file is cut short)");
  uint8_t* to = row(y);
  for (size_t x = 0; x < static_cast<size_t>(width_); ++x, to += 3) {
    if (bits_ <= 8) {
      const size_t bit = x * bits_;
      put(to, from.data[bit / 8] >> (8 - bits_ - bit % 8) & ((1U << bits_) - 1));
    } else if (bits_ == 24) {
      for (size_t i = 0; i < 3; ++i) to[i] = from.data[3 * x + 2 - i];
    } else {
      const uint32_t pixel = number(from, x * bits_ / 8, static_cast<int>(bits_ / 8));
      for (size_t i = 0; i < 3; ++i) to[i] = masks_[i].of(pixel);
    }
  }
}

/// Colour number `i` of those stored at `at`. With 4 bits, a byte holds two.
uint32_t Bmp::run_color(Bytes at, int64_t i) const {
  if (bits_ == 8) return number(at, static_cast<size_t>(i), 1);
  const uint32_t both = number(at, static_cast<size_t>(i / 2), 1);
  return i % 2 == 0 ? both >> 4 : both & 15;
}

/// Reads `count` single colours. Returns how many bytes they take, padded to an even number.
size_t Bmp::read_literal(Bytes at, int64_t& x, int64_t y, int64_t count) {
  for (int64_t i = 0; i < count; ++i, ++x) {
    const uint32_t color = run_color(at, i);
    if (x < width_) put(row(y) + 3 * x, color);
  }
  const auto bytes = static_cast<size_t>(bits_ == 8 ? count : (count + 1) / 2);
  return bytes + bytes % 2;
}

void Bmp::read_runs() {
  for (int64_t y = 0; y < height_; ++y) {  // pixels that no run reaches
    for (int64_t x = 0; x < width_; ++x) put(row(y) + 3 * x, 0);
  }
  int64_t x = 0, y = 0;
  for (Bytes at = file_.from(number(file_, 10, 4)); y < height_;) {
    // After a count of 0, the code means: 0 end of row, 1 end of picture, 2 move on; any other is
    // the number of single colours that follow.
    const uint32_t count = number(at, 0, 1), code = number(at, 1, 1);
    const Bytes colors = at.from(1);
    at = at.from(2);
    if (count > 0) {  // one colour, or two in turn
      for (uint32_t i = 0; i < count; ++i, ++x) {
        const uint32_t color = run_color(colors, bits_ == 8 ? 0 : i % 2);
        if (x < width_) put(row(y) + 3 * x, color);
      }
    } else if (code == 0) {
      x = 0;
      ++y;
    } else if (code == 1) {
      return;
    } else if (code == 2) {
      x += number(at, 0, 1);
      y += number(at, 1, 1);
      at = at.from(2);
    } else {
      at = at.from(read_literal(at, x, y, code));
    }
  }
}

}  // namespace

Image decode_bmp(Bytes file) { return Bmp(file).decode(); }

}  // namespace previt
