#pragma once

#include "pretrain/objectives/beit.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/given_tokenizer.h"

// A BEiT that trains in milliseconds.
namespace previt::test {

constexpr int64_t kBatch = 8, kSide = 24, kPatch = 4, kGrid = 6, kVocabSize = 16;

/// The shared sections of a run on 6 x 6 patches of 4 pixels.
inline RunOptions small_run() {
  RunOptions run;
  BeitOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 3;
  run.model.num_heads = 2;
  run.model.image_size = {kSide};
  run.model.patch_size = kPatch;
  run.model.drop_path = 0;
  run.optimizer.base_lr = 1e-3;
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = kBatch;
  run.train.precision = Precision::fp32;
  return run;
}

inline BeitOptions small_beit(int64_t cls_layers = 0) {
  BeitOptions options;
  options.beit.masked_patches = 13;
  options.beit.block.min_patches = 9;
  options.beit.cls_head.layers = cls_layers;
  options.beit.cls_head.early_layers = 1;
  return options;
}

/// A BEiT in training mode, on a RedTokenizer of two pixels a cell.
inline std::shared_ptr<Beit> build(const BeitOptions& options, const RunOptions& run) {
  torch::manual_seed(5);
  auto beit = std::make_shared<Beit>(
      options, run, std::make_shared<RedTokenizer>(2 * kGrid, kGrid, kVocabSize));
  beit->train();
  return beit;
}

inline StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 2, .epochs = 4};
}

/// Random pictures of a step, rows [first, first + count): uint8.
inline Batch pictures(const Beit& beit, int64_t step, int64_t first, int64_t count) {
  torch::manual_seed(100 + step);
  Batch batch;
  for (const auto& view : beit.views()) {
    batch.views.push_back(torch::randint(256, {kBatch, 3, view.height, view.width}, torch::kUInt8)
                              .narrow(0, first, count));
  }
  batch.indices = torch::arange(kBatch).narrow(0, first, count) + 31 * step;
  return batch;
}

inline void make_steps(
    Beit& beit, Stepper& stepper, int64_t from, int64_t to, int64_t micro = kBatch) {
  for (int64_t step = from; step < to; ++step) {
    int64_t first = 0;
    const StepOutcome outcome = stepper.step(info_of(step), kBatch, [&] {
      first += micro;
      return pictures(beit, step, first - micro, micro);
    });
    REQUIRE(!outcome.skipped);
  }
}

}  // namespace previt::test
