#include "pretrain/train/freezing.h"

#include "error.h"
#include "models/vit.h"
#include "models/weights/name_patterns.h"
#include "pretrain/param_rules.h"

namespace previt {
namespace {

// Relative tables that blocks share are positions too.
bool is_in_first(int64_t blocks, const std::string& name, int64_t depth) {
  return vit_layer_id(name, depth) <= blocks || name.starts_with("rel_pos_bias.");
}

// What a classifier adds to a backbone. The norm of averaged patches is new with it.
bool is_of_classifier(const std::string& name) {
  return is_classifier(name) || name.starts_with("fc_norm.");
}

}  // namespace

void require_freezable(const RunOptions& options, bool loaded) {
  const int64_t blocks = options.start.freeze_blocks;
  const char* key = blocks > 0 ? "model.freeze_blocks" : "train.freeze_epochs";
  if ((blocks > 0 || options.train.freeze_epochs > 0) && !loaded) {
    fail_usage("{}: is for weights that are loaded; give them with --from", key);
  }
  if (blocks > options.model.depth) {
    fail_usage("model.freeze_blocks: {} of {} blocks", blocks, options.model.depth);
  }
}

Freezing::Freezing(Objective& objective, const RunOptions& options)
    : epochs_(options.train.freeze_epochs) {
  const int64_t blocks = options.start.freeze_blocks;
  if (blocks == 0 && epochs_ == 0) return;
  for (const StartingBackbone& backbone : objective.starting_backbones()) {
    for (const auto& item : backbone.vit->named_parameters()) {
      at::Tensor parameter = item.value();
      if (!parameter.requires_grad()) continue;
      if (blocks > 0 && is_in_first(blocks, item.key(), backbone.vit->options().depth)) {
        parameter.set_requires_grad(false);
      } else if (epochs_ > 0 && !is_of_classifier(item.key())) {
        for_epochs_.push_back(parameter);
      }
    }
  }
}

void Freezing::begin_step(const StepInfo& info) {
  if (for_epochs_.empty()) return;
  const bool trained = info.whole_epoch() >= epochs_;
  for (const at::Tensor& parameter : for_epochs_) parameter.set_requires_grad(trained);
}

}  // namespace previt
