#pragma once

#include <cstdint>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "pretrain/train/averages.h"
#include "pretrain/train/stepper.h"

namespace previt {

/// Images, seconds spent in steps, and how many of these were spent waiting for data.
struct Speed {
  int64_t images = 0;
  double seconds = 0;
  double wait = 0;

  void add(const Speed& other);
  double images_per_second() const;
  double wait_share() const;
};

/// Where a run stands, besides its tensors: what a checkpoint's meta.json keeps.
struct RunPosition {
  int64_t steps_done = 0;
  Averages averages;                     ///< since the last metrics line, of this rank
  Speed interval;                        ///< since the last metrics line
  double seconds = 0;                    ///< of training, in all
  double earlier_processor_seconds = 0;  ///< of all processes of earlier parts; NaN: unknown
  std::clock_t begun = std::clock();     ///< processor time of this process when this part began
  double best = -std::numeric_limits<double>::infinity();  ///< of what best/ holds (saved_best)
  int64_t skipped_steps = 0;
  int64_t skipped_in_a_row = 0;  ///< up to now
  /// Images that could not be read, each once, but by each rank that met it. Those after a resume
  /// meet the same ones again, in an epoch all of them: so it is the larger count of the two parts.
  int64_t bad_samples = 0;

  /// Counts a step. A skipped one adds nothing to the averages.
  void add(const StepOutcome& step, const Speed& speed);
  /// Whether the metric `name` is larger than ever before; if so, it becomes the best. Never if one
  /// of the values is not finite.
  bool take_if_best(const Scalars& evaluated, const std::string& name);

  /// The values of a metrics line for the time since the last one, of all ranks; collective. `lr`
  /// is that of the last step.
  Scalars interval_values(double lr) const;
  void start_interval();

  /// Processor time of the whole run, of all its processes, NaN if unknown; collective.
  double processor_seconds() const;

  nlohmann::json save() const;  ///< of all ranks, collective; without the checkpoint's step
  void load(const nlohmann::json& meta);  ///< all but `best`; throws Error on damage
};

}  // namespace previt
