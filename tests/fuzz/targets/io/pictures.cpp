// Image files: the header alone, and all of it in each format.
#include "augment/io/image_decoder.h"
#include "fuzz/target.h"

namespace previt::fuzz {
namespace {

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::vector<std::string> pictures(std::vector<std::string> names) {
  for (auto& name : names) name.insert(0, "images/");
  return fixtures(names);
}

// What claims to be large is only begun: time is for the parsers, and limits.h has its own tests.
void decode(const std::string& bytes) {
  constexpr int64_t kLarge = int64_t{1} << 18;
  static ImageDecoder decoder;
  const ImageSize size = decoder.open(as_bytes(bytes));
  if (size.height * size.width > kLarge) return;
  Region region;
  decoder.decode({0, 0, size.height, size.width}, 1, region);
  decoder.decode(
      {size.height / 3, size.width / 3, (size.height + 2) / 3, (size.width + 2) / 3}, 2, region);
}

const bool added[] = {
    add({.name = "image_header",
         .seeds =
             [] {
               return pictures({"orient6.jpg",
                                "orient6.png",
                                "orient6.tif",
                                "orient6.webp",
                                "lossless.webp",
                                "lossy.webp",
                                "rgb.bmp"});
             },
         .parse = [](const std::string& bytes) { read_image_header(as_bytes(bytes)); },
         .inputs = 5000,
         .refused = 0.02}),
    add({.name = "image_jpeg",
         .seeds =
             [] { return pictures({"orient6.jpg", "grey.jpg", "cmyk.jpg", "progressive.jpg"}); },
         .parse = decode,
         .inputs = 2000,
         .refused = 0.1}),
    add({.name = "image_png",
         .seeds =
             [] {
               return pictures({"rgb8.png",
                                "palette.png",
                                "grey16.png",
                                "rgba.png",
                                "orient6.png",
                                "bilevel.png",
                                "grey_alpha.png"});
             },
         .parse = decode,
         .inputs = 2000,
         .refused = 0.1}),
    add({.name = "image_webp",
         .seeds =
             [] { return pictures({"alpha.webp", "lossless.webp", "lossy.webp", "orient6.webp"}); },
         .parse = decode,
         .inputs = 2000,
         .refused = 0.1}),
    add({.name = "image_bmp",
         .seeds = [] { return pictures({"rgb.bmp"}); },
         .parse = decode,
         .inputs = 2000,
         .refused = 0.02}),
    add({.name = "image_tiff",
         .seeds =
             [] {
               return pictures({"rgb.tif", "lzw.tif", "grey.tif", "rgb16.tif", "orient7.tif"});
             },
         .parse = decode,
         .inputs = 2000,
         .refused = 0.1}),
};

}  // namespace
}  // namespace previt::fuzz
