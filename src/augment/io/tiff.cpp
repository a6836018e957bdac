#include "augment/io/tiff.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "augment/io/cmyk.h"
#include "augment/io/limits.h"
#include "augment/io/tiff_file.h"
#include "error.h"

namespace previt {
namespace {

constexpr int kMostSamples = 32;  // per pixel
constexpr tmsize_t kMostBlockBytes = tmsize_t{2} << 30;

/// How a picture's samples are stored and what they mean.
struct Layout {
  explicit Layout(TIFF* tiff);
  /// Colours that libtiff converts, not the code here.
  bool foreign() const {
    return photometric != PHOTOMETRIC_MINISWHITE && photometric != PHOTOMETRIC_MINISBLACK &&
           photometric != PHOTOMETRIC_RGB && photometric != PHOTOMETRIC_PALETTE &&
           photometric != PHOTOMETRIC_SEPARATED;
  }
  int colors() const {
    return photometric == PHOTOMETRIC_SEPARATED ? 4 : photometric == PHOTOMETRIC_RGB ? 3 : 1;
  }
  void check() const;

  uint32_t height = 0, width = 0;
  int bits, samples, photometric;
  bool planes, floating, is_signed, premultiplied = false;
  const uint16_t* palette[3] = {};
};

Layout::Layout(TIFF* tiff)
    : bits(tiff_value(tiff, TIFFTAG_BITSPERSAMPLE)),
      samples(tiff_value(tiff, TIFFTAG_SAMPLESPERPIXEL)),
      photometric(tiff_value(tiff, TIFFTAG_PHOTOMETRIC)),
      planes(tiff_value(tiff, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE),
      floating(tiff_value(tiff, TIFFTAG_SAMPLEFORMAT) >= SAMPLEFORMAT_IEEEFP &&
               tiff_value(tiff, TIFFTAG_SAMPLEFORMAT) != SAMPLEFORMAT_VOID),
      is_signed(tiff_value(tiff, TIFFTAG_SAMPLEFORMAT) == SAMPLEFORMAT_INT && bits > 8) {
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  uint16_t extras = 0;
  const uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
  premultiplied =
      extras > 0 && kinds[0] == EXTRASAMPLE_ASSOCALPHA && photometric != PHOTOMETRIC_PALETTE;
  if (photometric == PHOTOMETRIC_PALETTE && bits <= 8) {
    const bool there =
        TIFFGetField(tiff, TIFFTAG_COLORMAP, &palette[0], &palette[1], &palette[2]) == 1;
    require(there, "damaged TIFF (it has no palette)");
  }
  // A JPEG inside does its own conversion.
  if (photometric == PHOTOMETRIC_YCBCR && !planes &&
      tiff_value(tiff, TIFFTAG_COMPRESSION) == COMPRESSION_JPEG) {
    TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    photometric = PHOTOMETRIC_RGB;
  }
}

void Layout::check() const {
  check_size({height, width});
  constexpr const char* kAdvice = "which is not read; save it with 8 or 16 bits";
  require(!floating, "a TIFF of floating-point numbers, {}", kAdvice);
  require(!is_signed, "a TIFF of signed numbers, {}", kAdvice);
  require(bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16,
          "a TIFF with {} bits a sample, {}",
          bits,
          kAdvice);
  require(samples >= 1 && samples <= kMostSamples,
          "a TIFF with {} samples a pixel, which is not read",
          samples);
  require(foreign() || samples >= colors(), "damaged TIFF (too few samples a pixel)");
  require(photometric != PHOTOMETRIC_PALETTE || bits <= 8, "damaged TIFF (a palette of 16 bits)");
}

/// A strip or tile, its rows one after the other.
struct Block {
  /// `row` and `all` are libtiff's numbers of bytes, 0 or less if it can't tell.
  void allocate(tmsize_t row, tmsize_t all) {
    require(row > 0 && all > 0 && all <= kMostBlockBytes, "damaged TIFF (strips of {} bytes)", all);
    row_bytes = static_cast<size_t>(row);
    bytes.resize(static_cast<size_t>(all));
  }

  uint32_t top = 0, left = 0, height = 0, width = 0;
  size_t row_bytes = 0;
  std::vector<uint8_t> bytes{};
};

/// The upper 8 bits of sample `at` of a row.
uint8_t sample(const uint8_t* row, size_t at, const Layout& layout) {
  if (layout.bits == 8) return row[at];
  if (layout.bits == 16) {  // libtiff has put them into the machine's order
    uint16_t value;
    std::memcpy(&value, row + 2 * at, 2);
    return static_cast<uint8_t>(value >> 8);
  }
  const size_t bit = at * static_cast<size_t>(layout.bits);
  const int most = (1 << layout.bits) - 1;
  const int value = row[bit / 8] >> (8 - layout.bits - static_cast<int>(bit % 8)) & most;
  return static_cast<uint8_t>(layout.palette[0] != nullptr ? value : value * 255 / most);
}

class Picture {
 public:
  Picture(TIFF* tiff, const Layout& layout) : tiff_(tiff), layout_(layout) {}
  Image decode();

 private:
  void read_tiles(int plane);
  void read_strips(int plane);
  void read(Block& block, uint32_t number, bool tile);
  void place(const Block& block, int plane);
  Image colors() const;

  TIFF* tiff_;
  const Layout& layout_;
  int kept_ = 0;                  // samples of a pixel that matter
  std::vector<uint8_t> samples_;  // [height, width, kept_]
};

Image Picture::decode() {
  kept_ = std::min(layout_.samples, layout_.colors() + (layout_.premultiplied ? 1 : 0));
  samples_.resize(size_t{layout_.height} * layout_.width * static_cast<size_t>(kept_));
  const int planes = layout_.planes ? kept_ : 1;
  for (int plane = 0; plane < planes; ++plane) {
    TIFFIsTiled(tiff_) != 0 ? read_tiles(plane) : read_strips(plane);
  }
  return colors();
}

void Picture::read_tiles(int plane) {
  Block block;
  TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &block.width);
  TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &block.height);
  check_size({block.height, block.width});
  // A small picture may come in larger tiles, but not in giant ones.
  require(int64_t{block.height} * block.width <=
              std::max<int64_t>(4 * int64_t{layout_.height} * layout_.width, 1 << 24),
          "damaged TIFF (tiles of {} x {})",
          block.width,
          block.height);
  block.allocate(TIFFTileRowSize(tiff_), TIFFTileSize(tiff_));
  for (block.top = 0; block.top < layout_.height; block.top += block.height) {
    for (block.left = 0; block.left < layout_.width; block.left += block.width) {
      read(block,
           TIFFComputeTile(tiff_, block.left, block.top, 0, static_cast<uint16_t>(plane)),
           true);
      place(block, plane);
    }
  }
}

void Picture::read_strips(int plane) {
  uint32_t rows = 0;
  TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &rows);
  Block block{.height = std::clamp<uint32_t>(rows, 1, layout_.height), .width = layout_.width};
  block.allocate(TIFFScanlineSize(tiff_), TIFFStripSize(tiff_));
  for (; block.top < layout_.height; block.top += block.height) {
    read(block, TIFFComputeStrip(tiff_, block.top, static_cast<uint16_t>(plane)), false);
    place(block, plane);
  }
}

void Picture::read(Block& block, uint32_t number, bool tile) {
  const auto size = static_cast<tmsize_t>(block.bytes.size());
  const size_t rows = std::min(block.height, layout_.height - block.top);
  const tmsize_t got = tile ? TIFFReadEncodedTile(tiff_, number, block.bytes.data(), size)
                            : TIFFReadEncodedStrip(tiff_, number, block.bytes.data(), size);
  require_tiff(got >= 0 && static_cast<size_t>(got) >= rows * block.row_bytes);
}

void Picture::place(const Block& block, int plane) {
  const uint32_t height = std::min(block.height, layout_.height - block.top);
  const uint32_t width = std::min(block.width, layout_.width - block.left);
  const auto stored = static_cast<size_t>(layout_.planes ? 1 : layout_.samples);
  const auto kept = static_cast<size_t>(kept_), first = static_cast<size_t>(plane);
  const size_t count = layout_.planes ? 1 : kept;
  require(8 * block.row_bytes >= width * stored * static_cast<size_t>(layout_.bits),
          "damaged TIFF (rows of {} bytes)",
          block.row_bytes);
  for (size_t y = 0; y < height; ++y) {
    const uint8_t* row = block.bytes.data() + y * block.row_bytes;
    uint8_t* to = samples_.data() + ((block.top + y) * layout_.width + block.left) * kept + first;
    for (size_t x = 0; x < width; ++x, to += kept) {
      for (size_t i = 0; i < count; ++i) to[i] = sample(row, x * stored + i, layout_);
    }
  }
}

/// Undoes a multiplication by the opacity as Pillow does.
uint8_t divided(int color, int opacity) {
  return static_cast<uint8_t>(opacity == 0 ? 0 : std::min(255, color * 255 / opacity));
}

Image Picture::colors() const {
  Image image(layout_.height, layout_.width);
  uint8_t* rgb = image.pixels.data();
  const int count = layout_.colors();
  for (const uint8_t *at = samples_.data(), *end = at + samples_.size(); at != end;
       at += kept_, rgb += 3) {
    uint8_t ink[4] = {};
    std::copy_n(at, count, ink);
    for (int i = 0; i < count && kept_ > count; ++i) ink[i] = divided(ink[i], at[count]);
    if (layout_.photometric == PHOTOMETRIC_SEPARATED) {
      for (uint8_t& value : ink) value = static_cast<uint8_t>(255 - value);
      rgb_of_cmyk(ink, rgb, 1);
      continue;
    }
    if (layout_.photometric == PHOTOMETRIC_MINISWHITE) ink[0] = static_cast<uint8_t>(255 - ink[0]);
    for (int i = 0; i < 3; ++i) {
      rgb[i] = layout_.palette[0] != nullptr ? static_cast<uint8_t>(layout_.palette[i][ink[0]] >> 8)
                                             : ink[count == 3 ? i : 0];
    }
  }
  return image;
}

/// YCbCr, CIE L*a*b* and such, by libtiff.
Image decode_foreign(TIFF* tiff, const Layout& layout) {
  char reason[1024] = "";
  require(TIFFRGBAImageOK(tiff, reason) == 1, "a TIFF that is not read ({})", reason);
  std::vector<uint32_t> pixels(size_t{layout.height} * layout.width);
  const int stored = tiff_value(tiff, TIFFTAG_ORIENTATION);  // as stored: nothing is turned
  require_tiff(TIFFReadRGBAImageOriented(
                   tiff, layout.width, layout.height, pixels.data(), stored, /*stop=*/1) == 1);
  Image image(layout.height, layout.width);
  uint8_t* rgb = image.pixels.data();
  for (const uint32_t pixel : pixels) {
    *rgb++ = static_cast<uint8_t>(TIFFGetR(pixel));
    *rgb++ = static_cast<uint8_t>(TIFFGetG(pixel));
    *rgb++ = static_cast<uint8_t>(TIFFGetB(pixel));
  }
  return image;
}

}  // namespace

Image decode_tiff(Bytes file) {
  const Tiff tiff = open_tiff(file);
  const Layout layout(tiff.get());
  layout.check();
  return layout.foreign() ? decode_foreign(tiff.get(), layout)
                          : Picture(tiff.get(), layout).decode();
}

}  // namespace previt
