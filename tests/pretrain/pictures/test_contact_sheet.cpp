#include "pretrain/pictures/contact_sheet.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a contact sheet holds its pictures, enlarged by a whole factor") {
  const at::Tensor images = torch::rand({2, 3, 32, 32});
  const ContactSheet sheet{.columns = {{"a", images}, {"b", 1 - images}}};
  const at::Tensor drawn = sheet.draw();
  CHECK(drawn.scalar_type() == torch::kUInt8);
  CHECK(drawn.sizes() == torch::IntArrayRef({4 + 11 + 2 * 132, 4 + 2 * 132, 3}));
  // The second row's second picture, back at its own size.
  const at::Tensor picture = drawn.slice(0, 15 + 132, 15 + 132 + 128, 4).slice(1, 136, 264, 4);
  const at::Tensor want = (1 - images[1]).mul(255).round().permute({1, 2, 0}).to(torch::kUInt8);
  CHECK(picture.equal(want));
}

TEST_CASE("grey pictures become colour ones and values outside [0, 1] are cut") {
  const ContactSheet sheet{.columns = {{"", torch::full({1, 1, 128, 128}, 7.f)}}};
  CHECK(sheet.draw().slice(0, 15, 15 + 128).slice(1, 4, 132).eq(255).all().item<bool>());
}

TEST_CASE("text is drawn pixel by pixel and cut at the edge") {
  at::Tensor canvas = torch::full({8, 9, 3}, 255, torch::kUInt8);
  draw_text(canvas, "l?l", 0, 0);
  const at::Tensor ink = canvas.select(2, 0).ne(255);
  CHECK(ink.select(1, 2).sum().item<int64_t>() == 7);  // the stem of the first letter
  CHECK(ink.narrow(1, 5, 4).sum().item<int64_t>() == 0);
}

TEST_CASE("a long note is broken into lines") {
  const at::Tensor images = torch::zeros({1, 3, 128, 128});
  ContactSheet sheet{.columns = {{"x", images}}};
  const int64_t without = sheet.draw().size(0);
  sheet.note = "twenty one letters fit on a line of this sheet";
  CHECK(sheet.draw().size(0) == without + 3 * 11);
}
