#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "options.h"

namespace previt {

struct ViewSpec;

/// One augmentation operation, as recipes know it. What it does to pixels is the Operation with the
/// same key in augment/ops, which objectives never see.
struct ViewOperation {
  const char* key;                   ///< of its first field, which turns it on
  bool (*on)(const ViewSpec& view);  ///< if false, no random number is drawn for it
  /// Visits its fields with help and range, and checks what a range can't say.
  void (*visit)(FieldVisitor& v, ViewSpec& view);
  /// Whether it may be on when the tokens of an image are made once for all epochs. Only an
  /// operation that gives the same result each time may.
  bool in_fixed_view = false;
  /// Whether view_identity() holds its fields even if it is off, as it does in older files. False
  /// for a new operation.
  bool named_when_off = false;
};

/// All operations, in the order in which they are drawn and applied. A new one comes last, because
/// the order decides what a seed gives.
std::span<const ViewOperation> view_operations();

/// A setting that makes two views of the same image differ.
struct ChangingSetting {
  std::string key;
  std::string value;  ///< its present value
  std::string fixed;  ///< the value that changes nothing, as a recipe writes it
};

/// The first such setting among the flip and the operations. The caller has to check the crop.
std::optional<ChangingSetting> changing_setting(const ViewSpec& view);

/// What is wrong with a list that should be the lowest and the highest value; "" if nothing is.
std::string wrong_bounds(const std::vector<double>& bounds);

}  // namespace previt
