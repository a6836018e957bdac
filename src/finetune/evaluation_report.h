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

/// The largest value of a metric in the text of metrics.jsonl, and the first epoch that reached
/// it; epoch 0 where no line has the metric.
struct BestEpoch {
  double value = 0, epoch = 0;
};
BestEpoch best_epoch(const std::string& metrics_jsonl, const std::string& metric);

}  // namespace previt
