#pragma once

#include <functional>
#include <memory>
#include <string>

#include "models/weights/weights.h"
#include "pretrain/objectives/dino.h"
#include "pretrain/objectives/dinov2.h"
#include "pretrain/objectives/ibot.h"
#include "pretrain/train/stepper.h"

namespace previt::test {

inline constexpr int64_t kCropBatch = 8;

/// The shared sections of a run with crops of 16 and 8 pixels in patches of 4: SGD at a constant
/// rate in float32, batches of kCropBatch.
RunOptions small_crop_run();

/// Five crops, 40 prototypes, which are trained from the first step on.
DinoOptions small_dino();
IbotOptions small_ibot(bool shared_head = true);
/// Patches have a head of their own, of 30 prototypes, with `separate_head`.
Dinov2Options small_dinov2(bool separate_head);

std::shared_ptr<Dino> build(const DinoOptions& options, const RunOptions& run);
std::shared_ptr<Ibot> build(const IbotOptions& options, const RunOptions& run);
std::shared_ptr<Dinov2> build(const Dinov2Options& options, const RunOptions& run);

/// One of the methods, for tests of what they have in common.
struct CropMethod {
  /// dino, ibot, "ibot, own" with prototypes of their own for patches, or dinov2 without what
  /// depends on how a batch is cut: masks and KoLeo
  std::string name;
  std::function<void(StudentTeacherOptions&)> change = {};

  std::string section() const { return name.substr(0, name.find(',')); }  ///< of a recipe

  std::shared_ptr<StudentTeacher> build(const RunOptions& run) const;
};

/// Each of the methods in turn, as GENERATE does.
CropMethod any_method();

/// A step of a run of four epochs of two steps.
StepInfo info_of(int64_t step);

/// Random crops of the images of a step, rows [first, first + count) of each: uint8.
Batch crops(const Objective& objective, int64_t step, int64_t first, int64_t count);

/// Makes steps [from, to) in micro-batches of `micro`; requires that none is skipped.
void make_steps(
    Objective& objective, Stepper& stepper, int64_t from, int64_t to, int64_t micro = kCropBatch);

/// The largest difference between the numbers in `a` and those in the tensors of `b` with the same
/// names.
double largest_difference(const NamedTensors& a, const NamedTensors& b);

}  // namespace previt::test
