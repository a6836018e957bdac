#include "grey.h"

#include <torch/types.h>

#include <array>

namespace previt {

at::Tensor grey_of(const at::Tensor& pixels) {
  const at::Tensor rgb = pixels.to(torch::kFloat32);
  // Pillow's 0.299, 0.587 and 0.114 times 65536. For bytes, the sums are whole numbers below 2^24,
  // which float32 holds exactly.
  const at::Tensor sum = rgb.narrow(1, 0, 1)
                             .mul(19595)
                             .add_(rgb.narrow(1, 1, 1), 38470)
                             .add_(rgb.narrow(1, 2, 1), 7471);
  const bool bytes = pixels.scalar_type() == torch::kUInt8;
  return bytes ? sum.add(32768).div_(65536).floor_() : sum.div(65536);
}

void make_grey(NormalizeOptions& options) {
  for (std::vector<double>* numbers : {&options.mean, &options.std}) {
    if (numbers->size() != 3) continue;
    const auto [red, green, blue] = std::array{(*numbers)[0], (*numbers)[1], (*numbers)[2]};
    *numbers = {0.299 * red + 0.587 * green + 0.114 * blue};
  }
}

}  // namespace previt
