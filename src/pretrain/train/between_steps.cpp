#include "pretrain/train/between_steps.h"

#include <torch/utils.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "communicator.h"

namespace previt {
namespace {

// A rank that alone found no labels, say, would leave the others waiting for it.
bool all_can(bool own) {
  const at::Tensor missing = torch::full({1}, own ? 0 : 1, torch::kInt64);
  world().max(missing);
  return missing.item<int64_t>() == 0;
}

}  // namespace

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

BetweenSteps::BetweenSteps(Objective& objective,
                           Stepper& stepper,
                           const RunOptions& options,
                           const TrainCallbacks& callbacks)
    : objective_(objective),
      stepper_(stepper),
      options_(options),
      callbacks_(callbacks),
      evaluates_(all_can(static_cast<bool>(callbacks.evaluate))) {}

// Decisions follow from the numbers, which may differ in rounding.
Scalars BetweenSteps::of_first_rank(const Scalars& own) {
  if (world().alone()) return own;
  nlohmann::json numbers = nlohmann::json::array();
  // As bits, as JSON has no infinity.
  for (const auto& [name, value] : own) numbers.push_back({name, std::bit_cast<uint64_t>(value)});
  const auto first = nlohmann::json::parse(world().broadcast(numbers.dump()));
  Scalars scalars;
  for (const auto& number : first) {
    scalars.emplace_back(number.at(0), std::bit_cast<double>(number.at(1).get<uint64_t>()));
  }
  return scalars;
}

void BetweenSteps::take_preview_images(BatchSource& source) {
  if (!callbacks_.encode_png || options_.output.preview_images == 0) return;
  source.seek(0, 0);
  preview_batch_ = stepper_.on_device(first_images(source.next(), options_.output.preview_images));
}

Scalars BetweenSteps::evaluate(int64_t epochs_done) {
  if (!evaluates_) return {};
  const Looking looking(objective_, stepper_);
  const auto results = callbacks_.evaluate(epochs_done);
  return of_first_rank({results.begin(), results.end()});
}

std::vector<Picture> BetweenSteps::previews() {
  if (!preview_batch_) return {};
  seed_torch(options_.train.seed, Stream::previews, {});
  const Looking looking(objective_, stepper_);
  return objective_.previews(*preview_batch_, options_.normalize);
}

}  // namespace previt
