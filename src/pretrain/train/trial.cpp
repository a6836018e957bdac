#include "pretrain/train/trial.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "memory.h"
#include "pretrain/train/run_checks.h"

namespace previt {

Trial::Trial(std::shared_ptr<Objective> objective,
             std::unique_ptr<BatchSource> source,
             const RunOptions& options,
             const DeviceGraphMaker& graphs)
    : objective_(std::move(objective)),
      source_(std::move(source)),
      plan_(RunPlan::make(options.train, *source_)),
      info_(plan_.info(plan_.total_steps() / 2)),
      stepper_(*objective_, options, {}, graphs),
      batches_(*source_, stepper_.device(), [this](const Batch& batch) {
        return objective_->draw(batch);
      }) {
  require_possible(*objective_, options, plan_);
  objective_->train();
}

void Trial::make_short_steps() {
  const int64_t images = std::min(2 * plan_.epoch.batch, plan_.images_in(0));
  for (int i = 0; i < 2; ++i) step(images);
}

Trial::Need Trial::main_memory() {
  stepper_.optimizer().zero_grad();
  const int64_t fixed = tensor_memory().now;
  restart_tensor_peak();
  const int64_t images = step(std::min(plan_.epoch.batch, plan_.images_in(0)));
  const auto above = static_cast<double>(tensor_memory().peak - fixed);
  return {static_cast<double>(fixed), above / static_cast<double>(images)};
}

double Trial::images_per_second(double seconds, const std::function<double()>& now) {
  stepper_.settle([&] { step(plan_.images_in(0)); });
  const double start = now();
  double images = 0, spent = 0;
  while (spent < seconds || images == 0) {
    images += static_cast<double>(step(plan_.images_in(0)));
    spent = now() - start;
  }
  return images / spent;
}

double Trial::seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t Trial::step(int64_t images) {
  return stepper_.step(info_, images, [&] { return batches_.next(); }).images;
}

}  // namespace previt
