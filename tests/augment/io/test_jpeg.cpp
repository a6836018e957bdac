#include <jpeglib.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "augment/dataset/synthetic.h"
#include "augment/io/jpeg.h"
#include "error.h"
#include "random.h"
#include "support/catch.h"

using namespace previt;

namespace {

struct Kind {
  int horizontal = 2, vertical = 2;  // chroma subsampling
  bool progressive = false, grey = false;
  int restart = 0;
};

Image picture(int64_t height, int64_t width) {
  const auto scenes = make_synthetic(parse_synthetic("shapes,size=256,count=1"), Split::train);
  const auto reader = scenes->reader();
  const Image scene = read_image(*reader, 0);
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y) {
    std::memcpy(image.row(y), scene.row(y), static_cast<size_t>(3 * width));
  }
  return image;
}

std::string compress(Image image, const Kind& kind) {
  jpeg_compress_struct codec;
  jpeg_error_mgr errors;
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &bytes, &size);
  codec.image_height = static_cast<JDIMENSION>(image.height);
  codec.image_width = static_cast<JDIMENSION>(image.width);
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  if (kind.grey) jpeg_set_colorspace(&codec, JCS_GRAYSCALE);
  codec.comp_info[0].h_samp_factor = kind.grey ? 1 : kind.horizontal;
  codec.comp_info[0].v_samp_factor = kind.grey ? 1 : kind.vertical;
  codec.restart_in_rows = kind.restart;
  if (kind.progressive) jpeg_simple_progression(&codec);
  jpeg_set_quality(&codec, 85, TRUE);
  jpeg_start_compress(&codec, TRUE);
  for (int64_t y = 0; y < image.height; ++y) {
    JSAMPROW row = image.row(y);
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  std::string file(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return file;
}

const std::vector<Kind> kKinds = {{2, 2},
                                  {2, 1},
                                  {1, 1},
                                  {1, 2},
                                  {4, 1},
                                  {2, 2, true},
                                  {2, 1, true},
                                  {1, 1, false, true},
                                  {2, 2, false, false, 1}};

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("a part of a JPEG equals that part of the whole, at every scale") {
  JpegDecoder decoder;
  Random random(3);
  for (const auto& kind : kKinds) {
    const int64_t height = 173, width = 251;
    const std::string file = compress(picture(height, width), kind);
    for (const int64_t reduction : {1, 2, 4, 8}) {
      Region whole, part;
      decoder.open(as_bytes(file));
      decoder.decode({0, 0, height, width}, reduction, whole);
      REQUIRE(whole.box.top == 0);
      REQUIRE(whole.box.left == 0);
      REQUIRE(whole.pixels.width == (width + reduction - 1) / reduction);
      int wrong = 0;
      for (int trial = 0; trial < 40; ++trial) {
        Box box;
        box.height = random.integer(1, height + 1);
        box.width = random.integer(1, width + 1);
        box.top = random.integer(0, height - box.height + 1);
        box.left = random.integer(0, width - box.width + 1);
        decoder.open(as_bytes(file));
        decoder.decode(box, reduction, part);
        REQUIRE(part.box.top <= box.top);
        REQUIRE(part.box.left <= box.left);
        REQUIRE(part.box.top + part.box.height >= box.top + box.height);
        REQUIRE(part.box.left + part.box.width >= box.left + box.width);
        REQUIRE(part.box.height == part.pixels.height * reduction);
        REQUIRE(part.box.width == part.pixels.width * reduction);
        const int64_t left = box.left / reduction;
        const int64_t right = (box.left + box.width + reduction - 1) / reduction;
        const int64_t bottom = (box.top + box.height + reduction - 1) / reduction;
        for (int64_t y = box.top / reduction; y < bottom; ++y) {
          const uint8_t* got = part.pixels.row(y - part.box.top / reduction) +
                               3 * (left - part.box.left / reduction);
          wrong += std::memcmp(got, whole.pixels.row(y) + 3 * left, 3 * (right - left)) != 0;
        }
      }
      INFO(kind.horizontal << "x" << kind.vertical << (kind.progressive ? " progressive" : "")
                           << (kind.grey ? " grey" : "") << " at 1/" << reduction);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("decoding reads no further than the crop") {
  const std::string file = compress(picture(256, 256), {});
  const std::string half = file.substr(0, file.size() / 2);
  JpegDecoder decoder;
  Region region;
  decoder.open(as_bytes(half));
  decoder.decode({0, 0, 64, 64}, 1, region);
  CHECK(region.pixels.height == 64);
  CHECK(region.pixels.width < 100);
  decoder.open(as_bytes(half));
  CHECK_THROWS_WITH(decoder.decode({128, 0, 128, 256}, 1, region), "the file is cut short");
  decoder.open(as_bytes(file));
  decoder.decode({128, 0, 128, 256}, 1, region);
  CHECK(region.box.top == 128);
}

TEST_CASE("a progressive JPEG with endless scans is refused") {
  std::string file = compress(picture(64, 64), {2, 2, true});
  const auto scan = file.rfind("\xFF\xDA");
  const std::string last = file.substr(scan, file.size() - 2 - scan);
  file.resize(file.size() - 2);
  for (int i = 0; i < 300; ++i) file += last;
  file += "\xFF\xD9";
  JpegDecoder decoder;
  Region region;
  decoder.open(as_bytes(file));
  CHECK_THROWS_WITH(decoder.decode({0, 0, 64, 64}, 1, region), "more than 200 scans");
}
