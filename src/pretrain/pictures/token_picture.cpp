#include "pretrain/pictures/token_picture.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "pretrain/pictures/contact_sheet.h"

namespace previt {
namespace {

constexpr double kGoldenRatio = 0.6180339887498949;  // its multiples spread evenly over a circle

// A channel of the colour with this hue in [0, 1): a triangle wave, 1 at hue `peak`.
at::Tensor channel(const at::Tensor& hue, double peak) {
  const at::Tensor away = (hue - peak + 0.5).remainder(1).sub(0.5).abs();
  return (2 - 6 * away).clamp(0, 1);
}

}  // namespace

at::Tensor token_map(
    const at::Tensor& words, int64_t grid_h, int64_t grid_w, int64_t height, int64_t width) {
  const at::Tensor number = words.detach().to(torch::kCPU, torch::kFloat64);
  const at::Tensor hue = (number * kGoldenRatio).remainder(1);
  const at::Tensor light = 0.55 + 0.45 * (number * (kGoldenRatio / 7)).remainder(1);
  const at::Tensor pale = 0.35 * (number * (kGoldenRatio / 3)).remainder(1);
  std::vector<at::Tensor> channels;
  for (const double peak : {0.0, 1.0 / 3, 2.0 / 3}) {
    channels.push_back(light * (pale + (1 - pale) * channel(hue, peak)));
  }
  const at::Tensor cells = torch::stack(channels, 1).view({words.size(0), 3, grid_h, grid_w});
  return torch::upsample_nearest2d(cells.to(torch::kFloat32), {height, width});
}

Picture token_picture(Tokenizer& tokenizer,
                      const at::Tensor& pixels,
                      const at::Tensor& reconstruction) {
  const at::Tensor words = tokenizer.tokens(pixels);
  ContactSheet sheet{.columns = {{"input", pixels.cpu()}}};
  if (reconstruction.defined()) sheet.columns.push_back({"from words", reconstruction.cpu()});
  sheet.columns.push_back({"words",
                           token_map(words,
                                     tokenizer.grid_height(),
                                     tokenizer.grid_width(),
                                     pixels.size(2),
                                     pixels.size(3))});
  return {"tokens",
          fmt::format("Input, {}and the words of its cells in colours: {} x {} out of {}.",
                      reconstruction.defined() ? "what is drawn from its words, " : "",
                      tokenizer.grid_height(),
                      tokenizer.grid_width(),
                      tokenizer.vocabulary()),
          sheet.draw()};
}

}  // namespace previt
