// BEiT and its tokenizer.
#include "pretrain/losses/masked_tokens.h"
#include "support/small_beit.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("beit: the tokenizer sees the same crop at its own size, or the model's picture") {
  const auto beit = build(small_beit(), small_run());
  const auto views = beit->views();
  REQUIRE(views.size() == 2);
  CHECK(views[1].same_crop_as == views[0].name);
  CHECK(views[1].height == 2 * kGrid);
  CHECK(views[1].interpolation == Interpolation::lanczos);
  CHECK(views[1].jitter == views[0].jitter);
  CHECK(views[0].pixels == PixelScale::kNormalized);
  CHECK(views[1].pixels == PixelScale::kPlain);

  RunOptions run = small_run();
  run.normalize = {.mean = {0.5, 0.4, 0.3}, .std = {0.2, 0.3, 0.4}};
  const auto normalising = build(small_beit(), run);
  const at::Tensor picture = torch::randint(256, {1, 3, 2 * kGrid, 2 * kGrid}, torch::kUInt8);
  Batch batch;
  batch.views = {torch::zeros({1, 3, kSide, kSide}, torch::kUInt8), picture};
  batch = to_device(std::move(batch), normalising->views(), run.normalize, torch::kCPU);
  const at::Tensor red =
      picture.select(1, 0).slice(1, 0, {}, 2).slice(2, 0, {}, 2).to(torch::kInt64);
  CHECK(
      torch::equal(normalising->targets().tokens_of(batch), red.remainder(kVocabSize).flatten(1)));

  BeitOptions options = small_beit();
  options.beit.tokenizer_interpolation = options.augment.interpolation;
  Beit one(options, run, std::make_shared<RedTokenizer>(kSide, kGrid, kVocabSize));
  REQUIRE(one.views().size() == 1);
  CHECK(one.views()[0].pixels == PixelScale::kNormalized);
  const at::Tensor seen = torch::randint(256, {1, 3, kSide, kSide}, torch::kUInt8);
  batch.views = {seen};
  const at::Tensor cells = seen.select(1, 0).slice(1, 0, {}, kPatch).slice(2, 0, {}, kPatch);
  CHECK(torch::equal(
      one.targets().tokens_of(to_device(batch, one.views(), run.normalize, torch::kCPU)),
      cells.to(torch::kInt64).remainder(kVocabSize).flatten(1)));
}

TEST_CASE("beit: a tokenizer that doesn't fit is refused") {
  const auto refuses = [](BeitOptions options, const std::string& why) {
    CHECK_THROWS_WITH(Beit(options, small_run()), ContainsSubstring(why));
  };
  BeitOptions options = small_beit();
  refuses(options, "beit.tokenizer: give a run of train_tokenizer");
  options.beit.tokenizer = "colors:many";
  refuses(options, "beit.tokenizer: colors:many");
  CHECK_THROWS_WITH(
      Beit(small_beit(), small_run(), std::make_shared<RedTokenizer>(8, 4, kVocabSize)),
      ContainsSubstring("4 x 4 tokens of an image, the model has 6 x 6 patches"));
  options.beit.tokenizer = "colors:64";
  options.beit.masked_patches = 75;
  refuses(options, "beit.masked_patches: 75 of 36 patches");
  options = small_beit(2);
  options.beit.tokenizer = "colors:64";
  options.beit.cls_head.early_layers = 3;
  refuses(options, "beit.cls_head.early_layers");
}

TEST_CASE("beit: previews show the tokens, and a tokenizer that says nothing is named") {
  const auto beit = build(small_beit(), small_run());
  const Batch batch =
      to_device(pictures(*beit, 0, 0, 2), beit->views(), NormalizeOptions{}, torch::kCPU);
  const auto shown = beit->previews(batch, NormalizeOptions{});
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].pixels.scalar_type() == torch::kUInt8);
  CHECK_THAT(shown[0].caption, ContainsSubstring("% of them are right"));
  TokenCounts counts(5);
  counts.add(torch::tensor({3, 3, 1}));
  counts.add(torch::tensor({3}));
  CHECK(counts.top_share().item<double>() == 0.75);
  CHECK(beit->diagnose({{"top_token", 0.5}}, info_of(0)).empty());
  const std::string said = beit->diagnose({{"top_token", 0.9}}, info_of(0));
  CHECK_THAT(said, ContainsSubstring("90% of the masked"));
}

TEST_CASE("beit: tokens that the visible patches tell are learnt") {
  RunOptions run = small_run();
  run.model.layer_scale = 0;
  run.optimizer.base_lr = 5e-3;
  BeitOptions options = small_beit();
  options.beit.tokenizer = "colors:27";
  const auto beit = std::make_shared<Beit>(options, run);
  Stepper stepper(*beit, run);
  double first = 0, last = 0;
  for (int64_t step = 0; step < 120; ++step) {
    Batch batch;
    for (const auto& view : beit->views()) {
      torch::manual_seed(step);  // every picture is of one colour, in both views
      batch.views.push_back(torch::randint(256, {kBatch, 3, 1, 1}, torch::kUInt8)
                                .expand({kBatch, 3, view.height, view.width}));
    }
    batch.indices = torch::arange(kBatch) + step * kBatch;
    last = stepper.step(info_of(step), kBatch, [&] { return batch; }).loss;
    if (step == 0) first = last;
  }
  CHECK(first == Approx(std::log(27.0)).margin(0.2));
  CHECK(last < 0.8 * first);
}
