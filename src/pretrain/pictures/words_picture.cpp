#include "pretrain/pictures/words_picture.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <utility>

#include "pretrain/pictures/cells.h"
#include "pretrain/pictures/contact_sheet.h"
#include "pretrain/pictures/token_picture.h"

namespace previt {
namespace {

constexpr double kPale = 0.75;  // white in the colours of visible patches
constexpr double kGrey = 0.5;

// Rows and columns of a grid of `patches` square patches of images [B, C, H, W].
std::pair<int64_t, int64_t> grid_of(const at::Tensor& images, int64_t patches) {
  const auto pixels = static_cast<double>(images.size(2) * images.size(3));
  const int64_t side = std::llround(std::sqrt(pixels / static_cast<double>(patches)));
  return {images.size(2) / side, images.size(3) / side};
}

}  // namespace

Picture words_picture(const at::Tensor& images,
                      const at::Tensor& masked,
                      const at::Tensor& words,
                      const at::Tensor& predicted,
                      const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const auto [rows, columns] = grid_of(images, words.size(1));
  const auto spread = [&](const at::Tensor& cells) {
    return enlarge_cells(cells, images.size(2), images.size(3));
  };
  const at::Tensor hidden = masked.cpu().view({-1, 1, rows, columns});
  const at::Tensor pixels = denormalize(images, normalize).cpu();
  const at::Tensor truth = token_map(words, rows, columns, rows, columns);
  const at::Tensor pale = truth * (1 - kPale) + kPale;
  const at::Tensor guess = token_map(predicted, rows, columns, rows, columns);
  const ContactSheet sheet{
      .columns = {{"input", pixels},
                  {"masked", torch::where(spread(hidden), torch::full({}, kGrey), pixels)},
                  {"words", spread(truth)},
                  {"predicted", spread(torch::where(hidden, guess, pale))}},
      .note = "every word has a colour of its own. predicted words are those of masked patches."};
  const at::Tensor right = (words == predicted).masked_select(masked).to(torch::kFloat32).mean();
  return {"words",
          fmt::format("Input, input with masked patches, the tokenizer's words as colours, and the "
                      "words predicted for the masked patches: {:.0f}% of them are right.",
                      100 * right.item<double>()),
          sheet.draw()};
}

}  // namespace previt
