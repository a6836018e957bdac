#include "augment/io/encode_jpeg.h"

#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include "error.h"

namespace previt {
namespace {

struct JpegEncoder {
  jpeg_compress_struct codec;
  jpeg_error_mgr errors;
  jmp_buf on_error;
  unsigned char* bytes = nullptr;  // of malloc
  unsigned long size = 0;

  JpegEncoder() {
    codec.mem = nullptr;  // so that it may be destroyed where it could not be created
    codec.err = jpeg_std_error(&errors);
    codec.client_data = this;
    errors.error_exit = [](j_common_ptr c) {
      longjmp(static_cast<JpegEncoder*>(c->client_data)->on_error, 1);
    };
    errors.emit_message = [](j_common_ptr, int) {};
  }
  ~JpegEncoder() {
    jpeg_destroy_compress(&codec);
    std::free(bytes);
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  // False where libjpeg met an error, which it leaves by longjmp.
  bool encode(const Image& image, int quality) {
    if (setjmp(on_error) != 0) return false;
    jpeg_create_compress(&codec);
    jpeg_mem_dest(&codec, &bytes, &size);
    codec.image_width = static_cast<JDIMENSION>(image.width);
    codec.image_height = static_cast<JDIMENSION>(image.height);
    codec.input_components = 3;
    codec.in_color_space = JCS_RGB;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, quality, TRUE);
    jpeg_start_compress(&codec, TRUE);
    for (int64_t y = 0; y < image.height; ++y) {
      JSAMPROW row = const_cast<uint8_t*>(image.row(y));
      jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    return true;
  }
};

}  // namespace

std::string encode_jpeg(const Image& image, int quality) {
  JpegEncoder encoder;
  require(encoder.encode(image, quality),
          "a picture of {} x {} can't be written as JPEG",
          image.width,
          image.height);
  return {reinterpret_cast<const char*>(encoder.bytes), encoder.size};
}

}  // namespace previt
