#include "pretrain/train/step_end.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <utility>

#include "error.h"
#include "upload.h"

namespace previt {
namespace {

class EndAtOnce final : public StepEnd {
 public:
  using StepEnd::StepEnd;
  Reading reading() const override { return Reading::at_once; }

  QueuedStep make(const StepInfo& info,
                  const at::Tensor& loss,
                  double weight_decay,
                  StepOutcome known) override {
    Gradients gradients(parts().optimizer.parameters());
    // Both numbers take one wait for the device. Clipping by parameter waits for the single norms
    // too.
    const at::Tensor both = numbers(loss, gradients, at::kCPU);
    known.take(both);
    if (known.skipped) {
      parts().objective.skipped_optimizer_step(info);
    } else {
      clip(gradients, known.gradient_norm);
      parts().optimizer.step(known.lr, weight_decay);
      parts().objective.after_optimizer_step(info);
      if (parts().ema != nullptr) parts().ema->update();
    }
    return {std::move(known), [both] { return both; }};
  }

 private:
  void clip(Gradients& gradients, double norm) const {
    const OptimizerOptions& options = parts().options;
    if (options.clip_grad <= 0) return;
    switch (options.clip_mode) {
      case ClipMode::global:
        return gradients.clip_global(norm, options.clip_grad);
      case ClipMode::per_network:
        return gradients.clip_per_network(options.clip_grad);
      case ClipMode::per_parameter:
        return gradients.clip_per_parameter(options.clip_grad);
    }
  }
};

/// Buffers of an objective (centers, codebooks) that its update may change.
class Buffers {
 public:
  explicit Buffers(const torch::nn::Module& module) : buffers_(module.buffers()) {}

  void remember() {
    before_.clear();
    for (const at::Tensor& buffer : buffers_) before_.push_back(buffer.clone());
  }
  // Not by a product with 0: what a step that is left out made of them may be NaN.
  void put_back_unless(const at::Tensor& made) {
    for (size_t i = 0; i < buffers_.size(); ++i) {
      buffers_[i].copy_(torch::where(made, buffers_[i], before_[i]));
    }
    before_.clear();
  }

 private:
  std::vector<at::Tensor> buffers_, before_;
};

class LateEnd final : public StepEnd {
 public:
  explicit LateEnd(const Parts& of) : StepEnd(of), buffers_(of.objective) {
    require(of.optimizer.leaves_out(), "this optimizer can't leave out a step on the device");
  }
  Reading reading() const override { return Reading::late; }

  QueuedStep make(const StepInfo& info,
                  const at::Tensor& loss,
                  double weight_decay,
                  StepOutcome known) override {
    const torch::NoGradGuard no_grad;
    Gradients gradients(parts().optimizer.parameters());
    const at::Tensor both = numbers(loss, gradients, loss.device());
    StepInfo decided = info;
    decided.made = both.isfinite().all();
    clip(gradients, both[1]);
    parts().optimizer.step(known.lr, weight_decay, decided.made);
    buffers_.remember();
    parts().objective.after_optimizer_step(decided);
    buffers_.put_back_unless(decided.made);
    if (parts().ema != nullptr) parts().ema->update(decided.made);
    return {std::move(known), start_download(both)};
  }

 private:
  void clip(Gradients& gradients, const at::Tensor& norm) const {
    const OptimizerOptions& options = parts().options;
    if (options.clip_grad <= 0) return;
    switch (options.clip_mode) {
      case ClipMode::global:
        return gradients.clip_global_there(norm, options.clip_grad);
      case ClipMode::per_network:
        return gradients.clip_per_network_there(options.clip_grad);
      case ClipMode::per_parameter:
        return gradients.clip_per_parameter_there(options.clip_grad);
    }
  }

  Buffers buffers_;
};

}  // namespace

at::Tensor StepEnd::numbers(const at::Tensor& loss,
                            const Gradients& gradients,
                            at::Device where) const {
  const at::Tensor both = torch::stack({loss, gradients.norm().to(loss)}).to(where);
  parts_.ranks.broadcast(both);  // other processors may round the norm otherwise
  return both;
}

void StepEnd::look(const at::Tensor& loss, StepOutcome& known) const {
  known.take(numbers(loss, Gradients(parts_.optimizer.parameters()), at::kCPU));
}

std::unique_ptr<StepEnd> make_step_end(Reading reading, const StepEnd::Parts& parts) {
  if (reading == Reading::late) return std::make_unique<LateEnd>(parts);
  return std::make_unique<EndAtOnce>(parts);
}

}  // namespace previt
