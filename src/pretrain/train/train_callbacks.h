#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace previt {

class Report;

/// What a caller does while a run trains. Pretraining needs only the pictures; fine-tuning
/// evaluates.
struct TrainCallbacks {
  /// Called every `evaluate_epochs` epochs and after the last one, with the model in eval mode and,
  /// if train.ema_decay is on, with averaged weights. What it returns joins the epoch's metrics
  /// line.
  std::function<std::map<std::string, double>(int64_t epochs_done)> evaluate;
  int64_t evaluate_epochs = 1;

  /// A key of what `evaluate` returns: the largest so far is also kept in <run>/best.
  std::string best_metric;

  /// PNG bytes of uint8 [H, W, 3]; without it there are no pictures.
  std::function<std::string(const at::Tensor& pixels)> encode_png;

  /// Adds tables and pictures each time the report is written. False: it has none yet.
  std::function<bool(Report&)> extend_report;
};

}  // namespace previt
