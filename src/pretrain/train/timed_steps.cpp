#include "pretrain/train/timed_steps.h"

#include <chrono>

#include "progress.h"

namespace previt {

StepOutcome TimedSteps::make(int64_t step, Speed& speed) {
  speed = {};
  const auto start = std::chrono::steady_clock::now();
  const auto next = [&] {
    const auto asked = std::chrono::steady_clock::now();
    Batch batch = source_.next();
    speed.wait += seconds_since(asked);
    return batch;
  };
  const auto news = [&] { return RankNews{stop_.exit_code(), speed.wait, source_.bad_samples()}; };
  StepOutcome outcome = stepper_.step(plan_.info(step), plan_.images_in(step), next, news);
  news_ = outcome.news;
  speed.wait = news_.wait;
  speed.images = outcome.images;
  speed.seconds = seconds_since(start);
  return outcome;
}

bool TimedSteps::would_be_good(int64_t step) {
  plan_.seek(source_, step);
  const StepOutcome outcome =
      stepper_.try_step(plan_.info(step), plan_.images_in(step), [&] { return source_.next(); });
  return !outcome.skipped;
}

}  // namespace previt
