#include "augment/encode_png.h"

#include <png.h>
#include <torch/types.h>
#include <zlib.h>

#include <csetjmp>
#include <utility>
#include <vector>

#include "error.h"

namespace previt {
namespace {

struct PngEncoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string bytes;

  PngEncoder()
      : png(png_create_write_struct(
            PNG_LIBPNG_VER_STRING,
            nullptr,
            [](png_structp p, png_const_charp) { png_longjmp(p, 1); },
            [](png_structp, png_const_charp) {})),
        info(png == nullptr ? nullptr : png_create_info_struct(png)) {}
  ~PngEncoder() { png_destroy_write_struct(&png, &info); }
  PngEncoder(const PngEncoder&) = delete;
  PngEncoder& operator=(const PngEncoder&) = delete;

  static void append(png_structp png, png_bytep data, size_t size) {
    auto& bytes = *static_cast<std::string*>(png_get_io_ptr(png));
    bytes.append(reinterpret_cast<const char*>(data), size);
  }

  // False where libpng met an error, which it leaves by longjmp.
  bool encode(std::vector<png_bytep>& rows, int64_t width) {
    if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_write_fn(png, &bytes, append, [](png_structp) {});
    png_set_IHDR(png,
                 info,
                 static_cast<png_uint_32>(width),
                 static_cast<png_uint_32>(rows.size()),
                 8,
                 PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_set_compression_level(png, Z_BEST_SPEED);
    png_set_compression_strategy(png, Z_RLE);
    png_write_info(png, info);
    png_write_image(png, rows.data());
    png_write_end(png, info);
    return true;
  }
};

}  // namespace

std::string encode_png(const at::Tensor& pixels) {
  require(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == torch::kUInt8,
          "a picture must be uint8 [H, W, 3]");
  const at::Tensor rgb = pixels.cpu().contiguous();
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < rgb.size(0); ++y) {
    rows.push_back(rgb.data_ptr<uint8_t>() + y * rgb.size(1) * 3);
  }
  PngEncoder encoder;
  require(encoder.encode(rows, rgb.size(1)), "a picture could not be encoded");
  return std::move(encoder.bytes);
}

}  // namespace previt
