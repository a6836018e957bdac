#include "pretrain/pictures/token_picture.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <utility>

#include "pretrain/pictures/contact_sheet.h"
#include "pretrain/pictures/upsample_nearest.h"

namespace previt {
namespace {

constexpr double kGoldenRatio = 0.6180339887498949;  // its multiples spread evenly over a circle
constexpr double kPale = 0.75;  // share of white in the colours of visible patches
constexpr double kGrey = 0.5;

// A channel of the colour with this hue in [0, 1): a triangle wave, 1 at hue `peak`.
at::Tensor channel(const at::Tensor& hue, double peak) {
  const at::Tensor away = (hue - peak + 0.5).remainder(1).sub(0.5).abs();
  return (2 - 6 * away).clamp(0, 1);
}

// Rows and columns of a grid of `patches` square patches of images [B, C, H, W].
std::pair<int64_t, int64_t> grid_of(const at::Tensor& images, int64_t patches) {
  const auto pixels = static_cast<double>(images.size(2) * images.size(3));
  const int64_t side = std::llround(std::sqrt(pixels / static_cast<double>(patches)));
  return {images.size(2) / side, images.size(3) / side};
}

}  // namespace

at::Tensor token_map(
    const at::Tensor& tokens, int64_t rows, int64_t columns, int64_t height, int64_t width) {
  const at::Tensor number = tokens.detach().to(torch::kCPU, torch::kFloat64);
  const at::Tensor hue = (number * kGoldenRatio).remainder(1);
  const at::Tensor light = 0.55 + 0.45 * (number * (kGoldenRatio / 7)).remainder(1);
  const at::Tensor pale = 0.35 * (number * (kGoldenRatio / 3)).remainder(1);
  std::vector<at::Tensor> channels;
  for (const double peak : {0.0, 1.0 / 3, 2.0 / 3}) {
    channels.push_back(light * (pale + (1 - pale) * channel(hue, peak)));
  }
  const at::Tensor cells = torch::stack(channels, 1).view({tokens.size(0), 3, rows, columns});
  return upsample_nearest(cells.to(torch::kFloat32), height, width);
}

Picture token_picture(Tokenizer& tokenizer,
                      const at::Tensor& pixels,
                      const at::Tensor& reconstruction) {
  const int64_t rows = tokenizer.grid_height(), columns = tokenizer.grid_width();
  ContactSheet sheet{.columns = {{"input", pixels.cpu()}}};
  if (reconstruction.defined()) sheet.columns.push_back({"reconstruction", reconstruction.cpu()});
  sheet.columns.push_back(
      {"tokens",
       token_map(tokenizer.tokens(pixels), rows, columns, pixels.size(2), pixels.size(3))});
  return {"tokens",
          fmt::format("Input, {}and its tokens as colours: {} x {} out of {}.",
                      reconstruction.defined() ? "what the decoder makes of its tokens, " : "",
                      rows,
                      columns,
                      tokenizer.vocab_size()),
          sheet.draw()};
}

Picture masked_token_picture(const at::Tensor& images,
                             const at::Tensor& masked,
                             const at::Tensor& tokens,
                             const at::Tensor& predicted,
                             const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const auto [rows, columns] = grid_of(images, tokens.size(1));
  const auto upsampled = [&](const at::Tensor& grid) {
    return upsample_nearest(grid, images.size(2), images.size(3));
  };
  const at::Tensor hidden = masked.cpu().view({-1, 1, rows, columns});
  const at::Tensor pixels = denormalize(images, normalize).cpu();
  const at::Tensor truth = token_map(tokens, rows, columns, rows, columns);
  const at::Tensor pale = truth * (1 - kPale) + kPale;
  const at::Tensor guess = token_map(predicted, rows, columns, rows, columns);
  const ContactSheet sheet{
      .columns = {{"input", pixels},
                  {"masked", torch::where(upsampled(hidden), torch::full({}, kGrey), pixels)},
                  {"tokens", upsampled(truth)},
                  {"predicted", upsampled(torch::where(hidden, guess, pale))}},
      .note = "every token has a colour of its own. predicted tokens are those of masked patches."};
  const at::Tensor right = (tokens == predicted).masked_select(masked).to(torch::kFloat32).mean();
  return {"masked_tokens",
          fmt::format("Input, input with masked patches, the tokenizer's tokens as colours, and "
                      "the tokens predicted for the masked patches: {:.0f}% of them are right.",
                      100 * right.item<double>()),
          sheet.draw()};
}

}  // namespace previt
