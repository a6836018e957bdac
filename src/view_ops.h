#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "options.h"

namespace previt {

struct ViewSpec;

/// One augmentation operation as recipes know it. What it does to pixels stands under the same key
/// in augment/ops (Operation), which the engine does not see.
struct ViewOperation {
  const char* key;                   ///< of the field that turns it on, the first of its fields
  bool (*on)(const ViewSpec& view);  ///< where false, no random number is drawn for it
  /// Its fields with help and range, and the check of what a range can't say.
  void (*visit)(FieldVisitor& v, ViewSpec& view);
  /// Whether it may be on where the tokens of an image are made once for all epochs: only what
  /// makes the same of an image each time.
  bool in_fixed_view = false;
  /// Whether files that tell views apart hold its fields where it is off, as those do that were
  /// written before view_identity() left them out. Not for new operations.
  bool named_when_off = false;
};

/// All operations, in the order in which they are drawn and applied. A new one comes last: the
/// order is part of what a seed gives.
std::span<const ViewOperation> view_operations();

/// A setting by which a view of the same image differs from time to time.
struct ChangingSetting {
  std::string key;
  std::string value;  ///< as it is
  std::string fixed;  ///< the value that changes nothing, as one writes it in a recipe
};

/// The first such setting, of the flip and of the operations; the crop has to be looked at apart.
std::optional<ChangingSetting> changing_setting(const ViewSpec& view);

/// What is wrong with a list that should be the lowest and the highest value; "": nothing.
std::string wrong_bounds(const std::vector<double>& bounds);

}  // namespace previt
