#pragma once

#include <torch/nn/module.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "batch.h"
#include "communicator.h"
#include "models/vit.h"
#include "pretrain/param_rules.h"
#include "settings.h"

namespace previt {

/// Where the run stands when a step is made. Everything that is scheduled is a function of it.
struct StepInfo {
  int64_t step = 0;  ///< optimizer steps made before this one
  int64_t total_steps = 0;
  int64_t steps_per_epoch = 0;
  int64_t epochs = 0;
  int64_t micro_step = 0;    ///< 0 … accumulation - 1
  int64_t accumulation = 1;  ///< micro-batches per optimizer step, of all ranks
  /// Only in after_optimizer_step() on a device that the host doesn't wait for: whether the
  /// optimizer has made the step, a bool scalar there. Undefined: it has.
  at::Tensor made{};
  /// Epochs done before this step, with fractions.
  double epoch() const { return static_cast<double>(step) / static_cast<double>(steps_per_epoch); }
  /// The epoch that this step is in, from 0.
  int64_t whole_epoch() const { return step / steps_per_epoch; }
  /// Whether this rank makes its first, or its last, micro-step of the optimizer step: they go to
  /// the ranks in turn.
  bool first_here(const Communicator& all = world()) const { return micro_step < all.size(); }
  bool last_here(const Communicator& all = world()) const {
    return micro_step + all.size() >= accumulation;
  }
};

/// Scalars by name, read once per metrics line.
using Metrics = std::vector<std::pair<std::string, at::Tensor>>;

/// What a micro-step gives the trainer.
struct StepResult {
  at::Tensor loss;  ///< scalar with gradient, mean over the micro-batch
  Metrics metrics;
  /// How many things the loss is a mean over, if these aren't the images: masked patches, for
  /// example, whose number varies. Micro-batches are then weighted by it, which equals one large
  /// batch. 0: weighted by images.
  double weight = 0;
};

/// How many images a micro-batch must have, and the recipe's key that asks for them.
struct BatchNeed {
  int64_t images = 1;
  std::string key = {};
};

/// A picture for previews/ and the report: uint8 [H, W, 3].
struct Picture {
  std::string name;     ///< file name without ending
  std::string caption;  ///< what one sees, in words
  at::Tensor pixels;
};

/// The network that a checkpoint keeps, with the description that builds it again.
struct KeptModel {
  std::shared_ptr<torch::nn::Module> network;      ///< saved under its own names
  std::map<std::string, std::string> description;  ///< describe_backbone or describe_tokenizer
};

/// A Vision Transformer of an objective that can start from a file of weights.
struct StartingBackbone {
  /// Which network of a file with several it is, by Network::kind; "": the one that is chosen.
  std::string network;
  Vit* vit = nullptr;
};

/// Where a file of weights may hold a tensor of an objective that is none of its backbone's.
struct InFiles {
  std::string part;                ///< "decoder"; a part is loaded as a whole, or starts anew
  std::vector<std::string> names;  ///< in the file, the best first
  bool needed = true;              ///< without it the whole part starts anew
};

/// A pretraining method. It is a module: all parameters and buffers registered in it are saved and
/// restored, frozen ones too; those that require a gradient are trained. What can be read from a
/// file again need not be registered (see frozen_parts). One file under objectives/ holds options,
/// heads, masks, teacher and loss. The loop, precision, accumulation, clipping, schedules and
/// checkpoints belong to the trainer. Random numbers come from torch's default generator, which the
/// trainer seeds before each micro-step.
class Objective : public torch::nn::Module {
 public:
  /// The crops it needs; batch.views comes in this order.
  virtual std::vector<ViewSpec> views() const = 0;

  /// The loss of a micro-batch. Its views are float32 [B, C, H, W] on the device, their pixels
  /// normalised or plain as views() asks. The trainer calls backward on the loss.
  virtual StepResult step(const Batch& batch, const StepInfo& info) = 0;

  /// What step() needs of the host for this batch, as tensors there: masks, which each image draws
  /// from a stream of its own, named by its epoch and index. On a device the trainer asks for it
  /// ahead and uploads it with the images; step() gets it from drawn().
  virtual std::vector<at::Tensor> draw(const Batch&) const { return {}; }

  /// Whether step() gives the device the same work for all batches of a size, so that the trainer
  /// may record it once and replay it (train.cuda_graph): it reads nothing of the batch but views,
  /// labels and what is drawn, nothing of StepInfo, and keeps nothing; the loss is weighted by
  /// images.
  virtual bool replayable() const { return false; }

  /// How many images a micro-batch needs: more than one where the loss compares images.
  virtual BatchNeed batch_need() const { return {}; }

  /// Moves teachers and centers, once per optimizer step whatever the accumulation. What step()
  /// collected is of this rank's images: it is summed over all of world() here, so that all ranks
  /// keep the same. Where only the device knows whether the step was left out (StepInfo::made),
  /// this is called all the same, and the trainer puts registered buffers back; frozen parameters
  /// that move must heed it (EmaTeacher does).
  virtual void after_optimizer_step(const StepInfo&) {}

  /// Called instead of after_optimizer_step() when loss or gradients were not finite, or the step
  /// was only tried: forgets what step() collected.
  virtual void skipped_optimizer_step(const StepInfo&) {}

  /// The Vision Transformer that is evaluated, exported and fine-tuned; null: the run makes
  /// something else, which kept_model() then gives.
  virtual std::shared_ptr<Vit> backbone() { return nullptr; }

  /// Those that start from the backbone of a file of weights (start_from.h).
  virtual std::vector<StartingBackbone> starting_backbones();

  /// Where a file may hold the parameter or buffer `name`, which is no backbone's. Names in a file
  /// are official ones; LoadedModel::others says those of further networks. By default the name is
  /// the same, and a part is what has the same first word.
  virtual InFiles in_files(const std::string& name) const;

  /// A tensor of a file made to fit the parameter `name`: at another image size, resized positions.
  /// `source` is the file's backbone. By default it stays as it is.
  virtual at::Tensor fitted(const std::string& /*name*/,
                            const at::Tensor& tensor,
                            const VitOptions& /*source*/) const {
    return tensor;
  }

  /// What checkpoints keep: the backbone, unless the method says otherwise.
  virtual KeptModel kept_model();

  /// What the loss depends on but checkpoints don't keep, as names and checksums. A run can be
  /// resumed only with the same.
  virtual Settings frozen_parts() const { return {}; }

  /// Weight decay and rate per parameter; the default is MAE's and DINO's.
  virtual ParamRules param_rules() const { return decay_matrices(); }

  /// What is odd about a run of so many epochs, in a line that begins with the recipe's key; "" if
  /// nothing is. The trainer warns of it before the first step.
  virtual std::string odd_plan(int64_t /*epochs*/) const { return ""; }

  /// Says in words what is wrong with a run, with the usual remedy; "" if nothing is. The metrics
  /// are means since the last line; `info` is that of the next step.
  virtual std::string diagnose(const std::map<std::string, double>&, const StepInfo&) const {
    return "";
  }

  /// Floating-point operations to train on one image, for GFLOP/s (docs/official_settings.md,
  /// "Compute per image"); 0: unknown.
  virtual double flops_per_image() const { return 0; }

  /// Tokens of an image, in all its views, that go through the trained backbone, for the estimate of
  /// memory; nothing: unknown.
  virtual std::optional<double> encoded_tokens_per_image() const { return {}; }

  /// Pictures of what the method does with a batch as step() gets it. Empty: none.
  virtual std::vector<Picture> previews(const Batch&, const NormalizeOptions&) { return {}; }

 protected:
  /// What draw() gives for the batch, on the device of its views: as it was uploaded ahead, or made
  /// now.
  std::vector<at::Tensor> drawn(const Batch& batch) const;
};

}  // namespace previt
