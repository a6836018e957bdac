#include "pretrain/train/timed_steps.h"

#include <chrono>

#include "clocks.h"

namespace previt {

void TimedSteps::queue(int64_t step) {
  Speed speed;
  const auto start = std::chrono::steady_clock::now();
  const auto next = [&] {
    const auto asked = std::chrono::steady_clock::now();
    Batch batch = source_.next();
    speed.wait += seconds_since(asked);
    return batch;
  };
  const auto news = [&] { return RankNews{stop_.exit_code(), speed.wait, source_.bad_samples()}; };
  QueuedStep queued = stepper_.queue(plan_.info(step), plan_.images_in(step), next, news);
  news_ = queued.news();
  speed.wait = news_.wait;
  speed.images = queued.images();
  speed.seconds = seconds_since(start);
  queued_.emplace_back(std::move(queued), speed);
}

StepOutcome TimedSteps::read(Speed& speed) {
  const auto start = std::chrono::steady_clock::now();
  StepOutcome outcome = queued_.front().first.outcome();
  speed = queued_.front().second;
  speed.seconds += seconds_since(start);
  queued_.pop_front();
  return outcome;
}

bool TimedSteps::would_be_good(int64_t step) {
  plan_.seek(source_, step);
  const StepOutcome outcome =
      stepper_.try_step(plan_.info(step), plan_.images_in(step), [&] { return source_.next(); });
  return !outcome.skipped;
}

}  // namespace previt
