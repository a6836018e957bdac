// Prints the features of an image: embed_cpp CHECKPOINT IMAGE
#include <previt/previt.h>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fputs("usage: embed_cpp CHECKPOINT IMAGE\n", stderr);
    return 2;
  }
  const previt::Backbone backbone = previt::load_backbone(argv[1]);
  const previt::RgbImage image = previt::load_image(argv[2]);
  const previt::ImageFeatures features = backbone.features(image);
  for (const float value : features.mean) std::printf("%.9g\n", value);

  if (backbone.num_classes() == 0) return 0;
  for (const auto& likely : backbone.classify(image)) {
    std::fprintf(stderr, "%s: %.1f %%\n", likely.name.c_str(), 100 * likely.probability);
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
