#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "finetune/evaluation.h"
#include "pretrain/train/report.h"

namespace previt {

/// Adds an evaluation to a run's report: headline figures, a row per class, the confusion matrix,
/// the most frequent mistakes, and pictures of right and wrong answers where `encode_png` (uint8
/// [H, W, 3] → the bytes of a file) is given.
void add_evaluation(Report& report,
                    const Evaluation& evaluation,
                    const std::vector<std::string>& class_names,
                    const std::function<std::string(const at::Tensor& pixels)>& encode_png = {});

}  // namespace previt
