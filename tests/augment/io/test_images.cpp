#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "augment/encode_png.h"
#include "augment/io/encode_jpeg.h"
#include "augment/io/file_bytes.h"
#include "augment/io/image_decoder.h"
#include "error.h"
#include "files.h"
#include "random.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

const std::string kImages = std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/images/";

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Image decode_all(ImageDecoder& decoder, const std::string& file) {
  const ImageSize size = decoder.open(as_bytes(file));
  Region region;
  decoder.decode({0, 0, size.height, size.width}, 1, region);
  return region.pixels;
}

std::string error_of(ImageDecoder& decoder, const std::string& file) {
  try {
    decode_all(decoder, file);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// Beside each picture lies what Pillow makes of it: height and width (int32), then RGB.
Image pillows(const std::string& path) {
  const std::string data = read_whole_file(path + ".rgb");
  int32_t size[2];
  std::memcpy(size, data.data(), 8);
  Image image(size[0], size[1]);
  std::memcpy(image.pixels.data(), data.data() + 8, image.pixels.size());
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.height == b.height);
  REQUIRE(a.width == b.width);
  int largest = 0;
  for (size_t i = 0; i < b.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  }
  return largest;
}

}  // namespace

namespace {

/// Compares every picture of a folder; how many there are.
int check_pictures(const std::string& folder) {
  ImageDecoder decoder;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    const auto ending = entry.path().extension().string();
    if (ending == ".rgb" || ending == ".py") continue;
    INFO(name);
    ++count;
    const Image image = decode_all(decoder, read_whole_file(folder + name));
    const bool lossy = name.find("lossy") != std::string::npos || ending == ".jpg";
    CHECK(largest_difference(image, pillows(folder + name)) <= (lossy ? 1 : 0));
  }
  return count;
}

}  // namespace

TEST_CASE("every format, kind, depth and orientation reads as Pillow reads it") {
  CHECK(check_pictures(kImages) == 33 + 133);
}

TEST_CASE("every format and kind reads as the Pillow that is here reads it") {
  const char* chosen = std::getenv("PREVIT_TEST_PYTHON");
  const std::string python = chosen != nullptr ? chosen : "python3";
  if (std::system((python + " -c 'import PIL, numpy' 2> /dev/null").c_str()) != 0) {
    WARN(python << " has no Pillow and NumPy");
    return;
  }
  const TempFolder folder;
  const std::string made = folder.path() + "/";
  REQUIRE(std::system(
              fmt::format("{} -W ignore {}make_images.py {} 7", python, kImages, made).c_str()) ==
          0);
  CHECK(check_pictures(made) == 133);
}

TEST_CASE("a box is cut out of the upright picture") {
  ImageDecoder decoder;
  for (const char* name : {"orient6.png", "orient7.jpg", "orient3.jpg", "rgb16.png"}) {
    INFO(name);
    const std::string file = read_whole_file(kImages + name);
    const Image whole = decode_all(decoder, file);
    Region region;
    decoder.open(as_bytes(file));
    const Box box = {2, 3, 5, 7};
    for (int twice = 0; twice < 2; ++twice) {
      decoder.decode(box, 1, region);
      for (int64_t y = box.top; y < box.top + box.height; ++y) {
        const uint8_t* got =
            region.pixels.row(y - region.box.top) + 3 * (box.left - region.box.left);
        CHECK(std::memcmp(got, whole.row(y) + 3 * box.left, 3 * box.width) == 0);
      }
    }
  }
}

TEST_CASE("a PNG that we write reads back") {
  ImageDecoder decoder;
  const at::Tensor picture =
      torch::arange(5 * 7 * 3, torch::kInt32).remainder(256).to(torch::kByte).view({5, 7, 3});
  const Image image = decode_all(decoder, encode_png(picture));
  CHECK(image.height == 5);
  CHECK(std::memcmp(image.pixels.data(), picture.data_ptr(), image.pixels.size()) == 0);

  const at::Tensor planes = picture.permute({2, 0, 1}).contiguous().permute({1, 2, 0});
  CHECK(encode_png(planes) == encode_png(picture));
  CHECK_THROWS(encode_png(picture.to(torch::kFloat)));
  CHECK_THROWS_WITH(encode_png(picture.narrow(0, 0, 0)), "a picture could not be encoded");
}

TEST_CASE("a JPEG that we write reads back") {
  ImageDecoder decoder;
  Image smooth(40, 30);
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 90; ++x) smooth.row(y)[x] = static_cast<uint8_t>(2 * y + x);
  }
  const Image copy = smooth;
  const Image back = decode_all(decoder, encode_jpeg(smooth, 95));
  CHECK(smooth.pixels == copy.pixels);
  CHECK(largest_difference(back, smooth) < 24);
  CHECK(encode_jpeg(smooth, 50).size() < encode_jpeg(smooth, 95).size());
  CHECK_THROWS_WITH(encode_jpeg(Image(1, 70000), 95),
                    "a picture of 70000 x 1 can't be written as JPEG");
}

TEST_CASE("what isn't a picture is an error in one line") {
  ImageDecoder decoder;
  CHECK(error_of(decoder, "") == "the file is empty");
  CHECK(error_of(decoder, "hello") == "not a JPEG, PNG, WebP, BMP or TIFF picture");
  CHECK(error_of(decoder, "\x89PNG\r\n\x1A\n") == "the file ends inside its header");
  const std::string jpeg = read_whole_file(kImages + "orient1.jpg");
  CHECK(error_of(decoder, jpeg.substr(0, jpeg.size() - 60)) == "the file is cut short");
  CHECK(error_of(decoder, jpeg.substr(0, 40)) != "");
  const std::string png = read_whole_file(kImages + "rgb8.png");
  CHECK(error_of(decoder, png.substr(0, png.size() / 2)) == "damaged PNG (the file is cut short)");
  const std::string tiff = read_whole_file(kImages + "rgb.tif");
  CHECK_THAT(error_of(decoder, tiff.substr(0, tiff.size() - 9)),
             ContainsSubstring("damaged TIFF ("));
}

TEST_CASE("what isn't read is called what it is") {
  ImageDecoder decoder;
  const auto named = [&](const std::string& bytes, const std::string& error) {
    CHECK(error_of(decoder, bytes + std::string(200, 'x')) == error);
  };
  const std::string advice = ", which is not read; convert it to PNG or JPEG";
  named("GIF89a", "a GIF" + advice);
  named({"\0\0\0\x0CjP  \r\n\x87\n", 12}, "a JPEG 2000 picture" + advice);
  named({"\0\0\0\x1C"
         "ftypheic",
         12},
        "a HEIC picture" + advice);
  named({"\0\0\0\x1C"
         "ftypavif",
         12},
        "an AVIF picture" + advice);
  named("P6\n8 8\n255\n", "a NetPBM picture" + advice);
  named("<!DOCTYPE html>", "a web page, which is not read");
  named("version https://git-lfs.github.com/spec/v1\n",
        "a pointer of Git LFS, which is not read; git lfs pull fetches the picture");
  named({"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\2\0\0\0\7\0\0\7\0\0", 30},
        "an animated WebP, which is not read; save the frame that is meant");

  // A TIFF of one strip of 2 x 2 pixels with another sample format or number of bits.
  std::string tiff = read_whole_file(kImages + "tiff_grey16.tif");
  const auto tag = [&](const char* number) {
    const size_t at = tiff.find(std::string(number, 2) + std::string("\3\0\1\0\0\0", 6));
    REQUIRE(at != std::string::npos);
    return at;
  };
  tiff[tag("\2\1") + 8] = 32;  // bits
  CHECK(error_of(decoder, tiff) ==
        "a TIFF with 32 bits a sample, which is not read; save it with 8 or 16 bits");
  const size_t planes = tag("\x1C\1");  // is now the sample format
  tiff[planes] = 0x53;
  tiff[planes + 8] = 3;
  CHECK(error_of(decoder, tiff) ==
        "a TIFF of floating-point numbers, which is not read; save it with 8 or 16 bits");
}

TEST_CASE("nobody but us says anything about a damaged picture") {
  const TempFolder folder;
  const std::string said = folder.path() + "/stderr";
  ImageDecoder decoder;
  std::fflush(stderr);
  const int terminal = ::dup(STDERR_FILENO);
  REQUIRE(std::freopen(said.c_str(), "w", stderr) != nullptr);
  for (const char* name : {"rgb8.png",
                           "rgb.tif",
                           "lzw.tif",
                           "tiff_jpeg.tif",
                           "tiff_group4.tif",
                           "lossy.webp",
                           "rgb.bmp",
                           "cmyk.jpg",
                           "progressive.jpg"}) {
    const std::string good = read_whole_file(kImages + name);
    for (size_t i = 0; i < good.size(); i += 7) {
      std::string bad = good;
      bad[i] = static_cast<char>(~bad[i]);
      error_of(decoder, bad);
      error_of(decoder, good.substr(0, i));
    }
  }
  std::fflush(stderr);
  ::dup2(terminal, STDERR_FILENO);
  ::close(terminal);
  CHECK(read_whole_file(said).empty());
}

TEST_CASE("a header that claims a giant picture is refused before memory is taken") {
  ImageDecoder decoder;
  std::string png = read_whole_file(kImages + "rgb8.png");
  png[16] = 0x10;  // width 268 million
  CHECK_THAT(error_of(decoder, png), ContainsSubstring("are more than the 178956970 allowed"));
  std::string jpeg = read_whole_file(kImages + "orient1.jpg");
  const auto frame = jpeg.find("\xFF\xC0");
  REQUIRE(frame != std::string::npos);
  for (size_t i = 5; i < 9; ++i) jpeg[frame + i] = static_cast<char>(0xF0);
  CHECK_THAT(error_of(decoder, jpeg), ContainsSubstring("are more than the 178956970 allowed"));
}

TEST_CASE("damaged pictures give an error or a picture") {
  ImageDecoder decoder;
  Random random(7);
  int errors = 0, pictures = 0;
  for (const char* name : {"rgb8.png",
                           "palette.png",
                           "rgb16.png",
                           "orient6.png",
                           "progressive.jpg",
                           "orient6.jpg",
                           "cmyk.jpg",
                           "grey.jpg",
                           "rgb.bmp",
                           "rgb.tif",
                           "tiff_rgba16_planes.tif",
                           "tiff_rgba_tiles.tif",
                           "tiff_big.tif",
                           "tiff_jpeg.tif",
                           "tiff_ycbcr_lossy.tif",
                           "tiff_group4.tif",
                           "lzw.tif",
                           "grey16.tif",
                           "lossless.webp",
                           "lossy.webp",
                           "orient6.webp"}) {
    const std::string good = read_whole_file(kImages + name);
    for (int i = 0; i < 60; ++i) {
      std::string bad = good;
      const int64_t hits = random.integer(1, 8);
      // Mostly in the header, where the structure is.
      const int64_t reach = i % 2 == 0 ? std::min<int64_t>(120, bad.size()) : bad.size();
      for (int64_t k = 0; k < hits; ++k)
        bad[random.integer(0, reach)] = static_cast<char>(random.bits());
      if (i % 5 == 0) bad.resize(random.integer(0, bad.size()));
      (error_of(decoder, bad).empty() ? pictures : errors) += 1;
    }
    CHECK(error_of(decoder, good) == "");  // nothing of the damage stays behind
  }
  CHECK(errors > 200);
  CHECK(pictures > 100);
}
