#include "augment/io/png.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "augment/io/limits.h"
#include "error.h"

namespace previt {
namespace {

/// What libpng's callbacks work on: the rest of the file, and the message of an error. Without
/// callbacks of ours libpng prints its errors.
struct Reading {
  Bytes left;
  char message[128] = "damaged";
};

void on_error(png_structp png, png_const_charp text) {
  auto& reading = *static_cast<Reading*>(png_get_error_ptr(png));
  std::snprintf(reading.message, sizeof reading.message, "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t size) {
  Bytes& left = static_cast<Reading*>(png_get_io_ptr(png))->left;
  if (size > left.size) png_error(png, "the file is cut short");
  std::memcpy(to, left.data, size);
  left = left.from(size);
}

/// A damaged chunk may claim 2 GB, which libpng would allocate before it reads on.
png_voidp allocate(png_structp, png_alloc_size_t size) {
  constexpr png_alloc_size_t kMost = 256 << 20;  // bytes; a row of the widest image is shorter
  return size > kMost ? nullptr : std::malloc(size);
}

void release(png_structp, png_voidp memory) { std::free(memory); }

struct Decoder {
  Decoder()
      : png(png_create_read_struct_2(
            PNG_LIBPNG_VER_STRING, &reading, on_error, on_warning, nullptr, allocate, release)),
        info(png == nullptr ? nullptr : png_create_info_struct(png)) {
    require(info != nullptr, "libpng can't be used");
  }
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Runs calls of libpng, which leaves by longjmp when an error occurs: `calls` must own nothing.
  template <class Calls>
  void guarded(const Calls& calls) {
    if (setjmp(png_jmpbuf(png)) != 0) fail("damaged PNG ({})", reading.message);
    calls();
  }

  Reading reading;
  png_structp png;
  png_infop info;
};

void ask_for_rgb(png_structp png, png_infop info) {
  const int color = png_get_color_type(png, info);
  png_set_strip_16(png);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  if ((color & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

}  // namespace

Image decode_png(Bytes file) {
  Decoder decoder;
  decoder.reading.left = file;
  png_set_read_fn(decoder.png, &decoder.reading, read_bytes);
  decoder.guarded([&] {
    png_read_info(decoder.png, decoder.info);
    ask_for_rgb(decoder.png, decoder.info);
  });
  const ImageSize size = {png_get_image_height(decoder.png, decoder.info),
                          png_get_image_width(decoder.png, decoder.info)};
  check_size(size);
  require(png_get_rowbytes(decoder.png, decoder.info) == static_cast<size_t>(3 * size.width),
          "a PNG of a kind that is not read");
  Image image(size.height, size.width);
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < size.height; ++y) rows.push_back(image.row(y));
  decoder.guarded([&] { png_read_image(decoder.png, rows.data()); });
  return image;
}

}  // namespace previt
