#include "pretrain/pictures/contact_sheet.h"

#include <torch/types.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

namespace previt {
namespace {

constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 8, kAdvance = 6, kLine = 11;
constexpr int64_t kGap = 4;             // between pictures and around them
constexpr int64_t kSmallestSide = 128;  // pictures are enlarged up to about this
constexpr int kPaper = 255, kInk = 30;

// 40 bits a letter: 8 rows of 5 pixels from the top left.
const std::map<char, uint64_t> kGlyphs = {
    {'%', 0xce44444e60}, {'\'', 0x2100000000}, {'+', 0x0109f21000}, {',', 0x0000003088},
    {'-', 0x0001f00000}, {'.', 0x0000003180},  {'0', 0x74675cc5c0}, {'1', 0x23084211c0},
    {'2', 0x74422223e0}, {'3', 0xf042e087c0},  {'4', 0x11952f8840}, {'5', 0xfc3c10c5c0},
    {'6', 0x3221e8c5c0}, {'7', 0xf844442100},  {'8', 0x7462e8c5c0}, {'9', 0x7462f08980},
    {'a', 0x001c17c5e0}, {'b', 0x843d18c7c0},  {'c', 0x001f0841e0}, {'d', 0x085f18c5e0},
    {'e', 0x001d1fc1e0}, {'f', 0x323c842100},  {'g', 0x001f18bc2e}, {'h', 0x843d18c620},
    {'i', 0x20184211c0}, {'j', 0x100c210a4c},  {'k', 0x84254c5240}, {'l', 0x61084211c0},
    {'m', 0x00355ad6a0}, {'n', 0x003d18c620},  {'o', 0x001d18c5c0}, {'p', 0x003d18fa10},
    {'q', 0x001f18bc21}, {'r', 0x002d884200},  {'s', 0x001f0707c0}, {'t', 0x423c8424c0},
    {'u', 0x002318c5e0}, {'v', 0x002318a880},  {'w', 0x00235ad540}, {'x', 0x0022a22a20},
    {'y', 0x002318bc2e}, {'z', 0x003e2223e0},
};

std::vector<std::string> wrap(const std::string& text, int64_t width) {
  const auto letters = static_cast<size_t>(std::max<int64_t>(1, width / kAdvance));
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (lines.empty() || lines.back().size() + 1 + word.size() > letters) {
      lines.push_back(word);
    } else {
      lines.back() += " " + word;
    }
  }
  return lines;
}

// [B, 1 or 3, H, W] in [0, 1] → uint8 [B, H·zoom, W·zoom, 3].
at::Tensor printable(const at::Tensor& images, int64_t zoom) {
  const at::Tensor bytes = images.detach()
                               .to(torch::kCPU, torch::kFloat32)
                               .clamp(0, 1)
                               .mul(255)
                               .round()
                               .to(torch::kUInt8);
  return bytes.expand({-1, 3, -1, -1})
      .repeat_interleave(zoom, 2)
      .repeat_interleave(zoom, 3)
      .permute({0, 2, 3, 1});
}

}  // namespace

void draw_text(at::Tensor& canvas, const std::string& text, int64_t top, int64_t left) {
  auto pixels = canvas.accessor<uint8_t, 3>();
  for (const char letter : text) {
    const auto glyph =
        kGlyphs.find(static_cast<char>(std::tolower(static_cast<unsigned char>(letter))));
    for (int64_t i = 0; glyph != kGlyphs.end() && i < kGlyphWidth * kGlyphHeight; ++i) {
      const int64_t y = top + i / kGlyphWidth, x = left + i % kGlyphWidth;
      const bool ink = (glyph->second >> (kGlyphWidth * kGlyphHeight - 1 - i) & 1) != 0;
      if (!ink || y >= canvas.size(0) || x >= canvas.size(1)) continue;
      for (int64_t channel = 0; channel < 3; ++channel) pixels[y][x][channel] = kInk;
    }
    left += kAdvance;
  }
}

at::Tensor ContactSheet::draw() const {
  const at::Tensor& first = columns.front().images;
  const int64_t zoom = std::max<int64_t>(1, kSmallestSide / std::max(first.size(2), first.size(3)));
  const int64_t height = first.size(2) * zoom, width = first.size(3) * zoom;
  const auto count = static_cast<int64_t>(columns.size());
  const int64_t sheet_width = kGap + count * (width + kGap);
  const auto notes = wrap(note, sheet_width - 2 * kGap);
  const int64_t pictures_end = kGap + kLine + first.size(0) * (height + kGap);
  const int64_t sheet_height = pictures_end + static_cast<int64_t>(notes.size()) * kLine;

  at::Tensor canvas = torch::full({sheet_height, sheet_width, 3}, kPaper, torch::kUInt8);
  for (int64_t column = 0; column < count; ++column) {
    const int64_t left = kGap + column * (width + kGap);
    draw_text(canvas, columns[column].title, kGap, left);
    const at::Tensor images = printable(columns[column].images, zoom);
    for (int64_t row = 0; row < images.size(0); ++row) {
      const int64_t top = kGap + kLine + row * (height + kGap);
      canvas.narrow(0, top, height).narrow(1, left, width).copy_(images[row]);
    }
  }
  for (size_t i = 0; i < notes.size(); ++i) {
    draw_text(canvas, notes[i], pictures_end + static_cast<int64_t>(i) * kLine, kGap);
  }
  return canvas;
}

}  // namespace previt
