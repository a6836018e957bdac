#include "pretrain/train/between_steps.h"

#include <torch/utils.h>

namespace previt {

/// While it lives, the objective is in eval mode, without gradients and with averaged weights.
class BetweenSteps::Looking {
 public:
  Looking(Objective& objective, Stepper& stepper)
      : objective_(objective), averaged_(stepper.ema()) {
    objective_.eval();
  }
  ~Looking() { objective_.train(); }
  Looking(const Looking&) = delete;
  Looking& operator=(const Looking&) = delete;

 private:
  const torch::NoGradGuard no_grad_;
  Objective& objective_;
  const EmaScope averaged_;
};

void BetweenSteps::take_preview_images(BatchSource& source) {
  if (!callbacks_.encode_png || options_.output.preview_images == 0) return;
  source.seek(0, 0);
  preview_batch_ = first_images(stepper_.on_device(source.next()), options_.output.preview_images);
}

Scalars BetweenSteps::evaluate(int64_t epochs_done) {
  if (!callbacks_.evaluate) return {};
  const Looking looking(objective_, stepper_);
  const auto results = callbacks_.evaluate(epochs_done);
  return {results.begin(), results.end()};
}

std::vector<Picture> BetweenSteps::previews() {
  if (!preview_batch_) return {};
  seed_torch(options_.train.seed, Stream::previews, {});
  const Looking looking(objective_, stepper_);
  return objective_.previews(*preview_batch_, options_.normalize);
}

}  // namespace previt
