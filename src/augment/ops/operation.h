#pragma once

#include <any>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "augment/device_ops.h"
#include "augment/image.h"
#include "batch.h"
#include "random.h"
#include "view_ops.h"

namespace previt {

/// The pixel code of one row of view_operations(). `Drawn` is what is random about it in one view,
/// drawn before anything is decoded.
template <class Drawn>
struct OperationOf {
  const char* key;  ///< that of the row
  /// Draws what is random, or nothing where the operation does not happen to this view. Called only
  /// where the view has it on.
  std::optional<Drawn> (*draw)(const ViewSpec& view, Draws& draws);
  /// Changes 8-bit pixels of one or three channels in place. Called by any number of threads.
  void (*apply)(const ViewSpec& view, const Drawn& drawn, Pixels pixels);
  /// The same for float images [B, 3, H, W] in [0, 1] on any device, with `drawn` [B]: writes the
  /// numbers that it needs there into `lists`, and returns what changes the images once they are
  /// there. Null if there is no such code: a view that has the operation on is then refused on a
  /// device.
  BatchChange (*plan_batch)(const ViewSpec& view,
                            const std::vector<Drawn>& drawn,
                            DeviceLists& lists);
};

/// An OperationOf whose `Drawn` is hidden, so that all operations fit into one list.
struct Operation {
  std::string key;
  std::function<std::any(const ViewSpec&, Draws&)> draw;  ///< empty: it does not happen
  std::function<void(const ViewSpec&, const std::any&, Pixels)> apply;
  /// Null if the operation works on the host only.
  std::function<BatchChange(const ViewSpec&, const std::vector<std::any>&, DeviceLists&)>
      plan_batch;
  const ViewOperation* row = nullptr;  ///< set by matched_rows()

  template <class Drawn>
  Operation(OperationOf<Drawn> typed)  // NOLINT: an operation is written as an OperationOf
      : key(typed.key),
        draw([typed](const ViewSpec& view, Draws& draws) {
          std::optional<Drawn> drawn = typed.draw(view, draws);
          return drawn ? std::any(*std::move(drawn)) : std::any();
        }),
        apply([typed](const ViewSpec& view, const std::any& drawn, Pixels pixels) {
          typed.apply(view, std::any_cast<const Drawn&>(drawn), pixels);
        }) {
    if (typed.plan_batch == nullptr) return;
    plan_batch = [typed](
                     const ViewSpec& view, const std::vector<std::any>& drawn, DeviceLists& lists) {
      std::vector<Drawn> values;
      for (const auto& one : drawn) values.push_back(std::any_cast<const Drawn&>(one));
      return typed.plan_batch(view, values, lists);
    };
  }
};

/// What an operation draws if it has nothing but a probability.
struct Happens {};
inline std::optional<Happens> happens(double probability, Draws& draws) {
  if (!draws.chance(probability)) return std::nullopt;
  return Happens{};
}

/// All of them, in the order of view_operations(). CMake generates this function from the files of
/// this folder: each `foo_operation.cpp` defines `Operation foo_operation()`.
const std::vector<Operation>& operations();

/// Puts operations into the order of view_operations(). Throws Error if a row has no pixel code, or
/// pixel code has no row.
std::vector<Operation> matched_rows(const std::vector<Operation>& made);

}  // namespace previt
