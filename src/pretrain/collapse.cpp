#include "pretrain/collapse.h"

#include <fmt/format.h>
#include <torch/utils.h>

#include <cmath>

#include "epoch_plan.h"
#include "models/layers/unit_length.h"
#include "pretrain/losses/feature_statistics.h"

namespace previt {
namespace {

// From where on each kind of collapse is reported.
constexpr double kUniform = 0.99;     // of ln K
constexpr double kTakesAll = 0.9;     // share of one prototype
constexpr double kOneFeature = 0.01;  // spread

// Micro-batches are taken from the ranks in turn, so the rows come as one process would have them.
at::Tensor of_all_ranks(const std::vector<at::Tensor>& micro_batches, Communicator& all) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& own : micro_batches) rows.push_back(all.gather(own));
  return torch::cat(rows);
}

}  // namespace

Metrics CollapseMetrics::add(const at::Tensor& loss,
                             const at::Tensor& targets,
                             const at::Tensor& features,
                             const StepInfo& info,
                             Communicator& all) {
  const torch::NoGradGuard no_grad;
  if (info.first_here(all)) reset();
  const at::Tensor entropy = target_entropy(targets);
  // A cross-entropy is the targets' entropy plus the student's divergence from them.
  Metrics metrics = {{"teacher_entropy", entropy}, {"student_kl", loss.detach() - entropy}};
  const at::Tensor rows = features.detach().to(torch::kFloat32);
  targets_.add(targets);
  unit_features_.add(unit_length(rows));
  // A line was written before this step, which so begins the next one.
  const bool ranked = line_due(info.step, info.steps_per_epoch, log_steps_);
  if (ranked) features_.push_back(rows);
  if (!info.last_here(all)) return metrics;
  metrics.emplace_back("top_prototype", targets_.mean(all).max());
  metrics.emplace_back("feature_spread", spread_around(unit_features_.mean(all)));
  if (ranked) {
    const double rank = effective_rank(of_all_ranks(features_, all));
    metrics.emplace_back("feature_rank", torch::tensor(rank));
  }
  return metrics;
}

void CollapseMetrics::reset() {
  targets_.reset();
  unit_features_.reset();
  features_.clear();
}

std::string describe_collapse(const std::map<std::string, double>& metrics,
                              int64_t prototypes,
                              const CollapseRemedies& remedies) {
  const auto value = [&](const char* name) {
    const auto found = metrics.find(name);
    return found == metrics.end() ? std::nan("") : found->second;
  };
  const std::string& section = remedies.section;
  const double highest = std::log(static_cast<double>(prototypes));
  if (value("teacher_entropy") >= kUniform * highest) {
    return fmt::format(
        "uniform collapse: teacher entropy at ln K ({:.2f} of {:.2f}), every image gets all "
        "prototypes alike; sharpen the targets (lower {}.teacher_temp and "
        "{}.warmup_teacher_temp), freeze the last layer longer ({}.freeze_last_layer) or lower "
        "optimizer.base_lr",
        value("teacher_entropy"),
        highest,
        section,
        section,
        section);
  }
  if (value("top_prototype") >= kTakesAll) {
    return fmt::format(
        "one prototype takes all: it gets {:.0f}% of the targets; let the center follow faster "
        "(lower {}.center_momentum) or soften the targets (raise {}.teacher_temp){}",
        100 * value("top_prototype"),
        section,
        section,
        remedies.other);
  }
  if (value("feature_spread") <= kOneFeature) {
    return fmt::format(
        "feature collapse: all images get nearly the same feature (spread {:.4f} of 1); lower "
        "optimizer.base_lr, lengthen schedule.warmup_epochs or raise {}.teacher_momentum",
        value("feature_spread"),
        section);
  }
  return "";
}

}  // namespace previt
