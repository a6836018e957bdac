#include "pretrain/pretrain_run.h"
#include "support/catch.h"

using namespace previt;

namespace {

std::string error_of(const std::string& text) {
  auto recipe = Recipe::parse(text, "r.yaml");
  try {
    PretrainRun::read(recipe);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a recipe for pretraining says what is wrong and where") {
  const std::string unknown = error_of("objective: maee\n");
  CHECK_THAT(unknown, ContainsSubstring("r.yaml:1: objective: maee is not one of "));
  CHECK_THAT(unknown, ContainsSubstring("did you mean mae?"));
  CHECK(error_of("mae:\n  mask_ratio: 1.5\n") == "r.yaml:2: mae.mask_ratio: 1.5 is not in (0, 1)");
  CHECK(error_of("mae:\n  decoder:\n    dpeth: 2\n") ==
        "r.yaml:3: mae.decoder.dpeth: unknown key; did you mean depth?");
  CHECK(error_of("model: {arch: vit_bsae}\n") != "");
  CHECK(error_of("") == "");
}

TEST_CASE("a method's defaults are the official ones, and a resolved recipe reads back to itself") {
  auto empty = Recipe::parse("objective: mae\nmodel: {arch: vit_tiny, image_size: [64]}\n");
  const PretrainRun run = PretrainRun::read(empty);
  CHECK(run.options.model.pos_embed == PosEmbed::sincos);
  CHECK(run.options.model.embed_dim == 192);
  CHECK(run.options.optimizer.betas == std::vector<double>{0.9, 0.95});
  CHECK(run.options.schedule.warmup_epochs == 40);
  CHECK_THAT(run.resolved(), ContainsSubstring("mask_ratio: 0.75"));
  auto again = Recipe::parse(run.resolved());
  CHECK(PretrainRun::read(again).resolved() == run.resolved());
}
