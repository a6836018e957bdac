#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "options.h"

namespace previt {

/// "2h", "30m", "90s" or several of them from the longest to the shortest ("1h30m") in seconds.
/// Throws UsageError, led by `place`, for anything else and for 0.
double parse_duration(const std::string& text, const std::string& place);

/// What the time of a run is made of.
struct RunTime {
  double images_per_second = 1;
  int64_t images_in_epoch = 1;
  int64_t images_scored = 0;  ///< read by each evaluation; each takes as long as a trained one
  int64_t score_epochs = 0;   ///< an evaluation every so many epochs and at the end; 0: none

  double seconds(int64_t epochs) const;
  /// The most epochs that take no longer; 0 where one does.
  int64_t epochs_within(double seconds) const;
};

/// Whether a time budget decides the option of a recipe that has this name, as "train.epochs".
bool decided_by_budget(std::string_view key);

/// Visits the options of a run whose number of epochs changes. What counts epochs of a schedule
/// changes in proportion: all keys that end in `_epochs` or `_epoch`, such as warm-ups of the rate
/// and of a teacher's temperature. `freeze_last_layer` stays, as what it guards against is over
/// after the first epochs, but the last epoch always trains the last layer. Of checkpoints and
/// pictures, if there were any on the way, there are not fewer than eight.
class EpochScale final : public FieldVisitor {
 public:
  EpochScale(int64_t from, int64_t to) : from_(from), to_(to) {}
  void field(const Field& field) override;

 protected:
  void enter(const char*) override {}
  void leave() override {}

 private:
  int64_t from_, to_;
};

}  // namespace previt
