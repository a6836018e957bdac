#include <torch/types.h>

#include "batch.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;

namespace {

// The spec's crops, as the loader gives them.
Batch loaded(const std::vector<ViewSpec>& specs) {
  Batch batch;
  torch::manual_seed(1);
  for (const auto& spec : specs) {
    for (int64_t crop = 0; crop < spec.count; ++crop) {
      batch.views.push_back(torch::randint(256, {2, 3, spec.height, spec.width}, torch::kUInt8)
                                .contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
  return batch;
}

}  // namespace

TEST_CASE("a view's crop is cut from sides as other code bases resize to") {
  CHECK(uncropped_side(224, 0.875) == 256);
  CHECK(uncropped_side(224, 0.9) == 248);
  CHECK(uncropped_side(384, 1) == 384);
  CHECK(uncropped_side(10, 10.0 / 29) == 29);  // the quotient ends just below
}

TEST_CASE("each view of a batch gets the pixels that its spec asks for") {
  const std::vector<ViewSpec> specs = {
      {.count = 2, .height = 4, .width = 6},
      {.height = 3, .width = 3, .pixels = PixelScale::kPlain},
  };
  const NormalizeOptions options;
  const Batch raw = loaded(specs), got = to_device(raw, specs, options, torch::kCPU);
  REQUIRE(got.views.size() == 3);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(torch::equal(got.views[i], normalize(raw.views[i], options, torch::kCPU)));
  }
  // To the last bit: the float nearest to n / 255.
  CHECK(torch::equal(got.views[2], raw.views[2].to(torch::kFloat64).div(255).to(torch::kFloat32)));
  for (const auto& view : got.views) CHECK(view.is_contiguous());
  const Batch again =
      to_device(got, {{.count = 3, .pixels = PixelScale::kPlain}}, options, torch::kCPU);
  CHECK(torch::equal(again.views[2], got.views[2]));
}

TEST_CASE("plain pixels are grey where the model sees one channel") {
  const std::vector<ViewSpec> specs = {{.height = 3, .width = 3, .pixels = PixelScale::kPlain}};
  const NormalizeOptions grey{.mean = {0.5}, .std = {0.25}};
  const Batch raw = loaded(specs);
  const at::Tensor plain = to_device(raw, specs, grey, torch::kCPU).views.front();
  CHECK(plain.sizes() == at::IntArrayRef{2, 1, 3, 3});
  const at::Tensor back = denormalize(normalize(raw.views.front(), grey, torch::kCPU), grey);
  CHECK((plain - back).abs().max().item<double>() < 1e-6);
}

TEST_CASE("a batch of more views than were asked for is refused") {
  const std::vector<ViewSpec> specs = {{.height = 3, .width = 3}};
  Batch batch = loaded(specs);
  batch.views.push_back(batch.views.front());
  CHECK_THROWS_AS(to_device(batch, specs, NormalizeOptions{}, torch::kCPU), Error);
}
