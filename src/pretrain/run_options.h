#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "batch.h"
#include "models/vit_options.h"
#include "options.h"

namespace previt {

/// What of the augmentation is made batch by batch on the device: nothing, whole views out of whole
/// images, or the operations of views that the loader's threads cut (view_operations()).
enum class DeviceAugment { none, all, colors };
constexpr auto enum_names(DeviceAugment) { return std::array{"false", "true", "colors"}; }

/// The section `data:` of a recipe.
struct DataOptions {
  std::string path = "synthetic:shapes";  ///< folder, .h5 pack, CIFAR-10 folder or synthetic:SPEC
  int64_t workers = 0;                    ///< decoding threads; 0: cores_for_reading()
  int64_t prefetch = 4;                   ///< batches made ahead
  double max_bad_fraction = 0.1;          ///< share of unreadable images above which the run fails
  DeviceAugment device_augment = DeviceAugment::none;
  int64_t canvas = 0;  ///< device_augment true: pixels a side that images are squeezed to; 0: off
};
void visit(FieldVisitor& v, DataOptions& o);

/// What a run starts from, and what of that it leaves as it is. These keys stand in the section
/// `model:` too.
struct StartOptions {
  std::string from;           ///< any checkpoint (load_model.h), absolute once it is read; "": none
  std::string from_weights;   ///< LoadHints::network
  std::string from_checksum;  ///< source_checksum of these weights; "": not known yet
  std::string allow;          ///< names of weights (start_from.h)
  int64_t freeze_blocks = 0;  ///< blocks that are never trained, nor what stands before them
};
void visit(FieldVisitor& v, StartOptions& o);

/// The optimizers of train/optimizer.h.
enum class OptimizerKind { adamw, lars, sgd };
constexpr auto enum_names(OptimizerKind) { return std::array{"adamw", "lars", "sgd"}; }

/// Gradients are clipped by their common norm, by that of their network (ParamRule::network), or
/// each by its own.
enum class ClipMode { global, per_network, per_parameter };
constexpr auto enum_names(ClipMode) { return std::array{"global", "per_network", "per_parameter"}; }

/// How the rate grows with the batch.
enum class LrScaling { linear, sqrt };
constexpr auto enum_names(LrScaling) { return std::array{"linear", "sqrt"}; }

/// lr = base_lr × batch / base_batch, or its square root, when base_batch > 0, else base_lr as it
/// is.
struct OptimizerOptions {
  OptimizerKind name = OptimizerKind::adamw;
  double base_lr = 1.5e-4;
  double base_batch = 256;
  LrScaling lr_scaling = LrScaling::linear;
  std::vector<double> betas = {0.9, 0.95};
  double eps = 1e-8;
  double momentum = 0.9;            ///< lars, sgd
  double trust_coefficient = 1e-3;  ///< lars
  double weight_decay = 0.05;
  double weight_decay_end = -1;  ///< cosine to this value; negative: constant
  double clip_grad = 0;          ///< 0: off
  ClipMode clip_mode = ClipMode::global;
  bool decay_all = false;  ///< decay biases, norms and tokens too
  double layer_decay = 1;  ///< per-layer factor of the rate (fine-tuning, DINOv2)
};
void visit(FieldVisitor& v, OptimizerOptions& o);

/// The schedules of docs/official_settings.md, "Schedules": mae (by fractional epoch), table (DINO,
/// BEiT), timm (by step), deit (timm's by epoch), per_epoch (Icarus), steps (SimMIM), constant.
enum class ScheduleKind { mae, table, timm, deit, per_epoch, steps, constant };
constexpr auto enum_names(ScheduleKind) {
  return std::array{"mae", "table", "timm", "deit", "per_epoch", "steps", "constant"};
}

/// The section `schedule:` of a recipe.
struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::mae;
  double warmup_epochs = 40;
  int64_t warmup_steps = 0;               ///< instead of warmup_epochs when above 0
  double warmup_lr = 0;                   ///< lr at step 0
  double min_lr = 0;                      ///< absolute, not scaled by the batch
  std::vector<double> decay_epochs = {};  ///< steps: where the rate falls
  double decay_rate = 0.1;                ///< steps: the factor by which it falls
};
void visit(FieldVisitor& v, ScheduleOptions& o);

/// The type that networks compute in; weights and losses are float32 in either. A run decides
/// `automatic` before it begins (train/precision_choice.h).
enum class Precision { automatic, bf16, fp32 };
constexpr auto enum_names(Precision) { return std::array{"auto", "bf16", "fp32"}; }
/// Throws UsageError for `automatic`.
at::ScalarType scalar_type(Precision precision);

/// How the libraries for large matmuls on the CPU are chosen: by measuring each new shape, or always
/// the same, so that two runs of one seed give the same bits.
enum class MatmulChoice { measured, fixed };
constexpr auto enum_names(MatmulChoice) { return std::array{"measured", "fixed"}; }

/// Whether a GPU replays the passes of a step (train/graphed_steps.h): where that is faster, or
/// wherever it can.
enum class GraphChoice { automatic, on, off };
constexpr auto enum_names(GraphChoice) { return std::array{"auto", "on", "off"}; }

/// A number that is found out before the run begins: `auto` in a recipe.
constexpr int64_t kAutomatic = -1;
/// `all` in a recipe, where a number of things is asked for.
constexpr int64_t kAll = -1;

/// The section `train:` of a recipe.
struct TrainOptions {
  int64_t epochs = 800;
  int64_t freeze_epochs = 0;  ///< epochs before the backbone is trained too
  int64_t batch = 256;        ///< effective batch per optimizer step
  int64_t micro_batch = 0;    ///< what fits in memory; 0, or kAutomatic undecided: the whole batch
  Precision precision = Precision::automatic;
  MatmulChoice matmul = MatmulChoice::measured;
  bool deterministic = false;  ///< equal bits on a GPU too
  GraphChoice cuda_graph = GraphChoice::off;
  int64_t seed = 0;
  int64_t threads = 0;  ///< compute threads; 0: one per core
  bool drop_last = true;
  int64_t max_bad_steps = 10;     ///< non-finite losses in a row before the run stops
  double ema_decay = 0;           ///< moving average of the weights; 0: off
  int64_t checkpoint_blocks = 0;  ///< of each network, whose activations are made again; or kAll
  bool shard_optimizer = false;   ///< each process keeps the optimizer's state of its parameters
  double timeout = 60;            ///< seconds that a process waits for another

  /// Images in memory at a time: the largest divisor of a process's share of the batch (world())
  /// that is not above micro_batch.
  int64_t micro() const;
  /// Whether an optimizer step adds up several micro-batches of each process.
  bool accumulates() const;
  /// Throws UsageError, which says what would do, if the processes of the run can't share the batch
  /// evenly, each by micro-batches.
  void require_shareable() const;
};
void visit(FieldVisitor& v, TrainOptions& o);

/// As what a run leaves its network for others at its end, besides its checkpoints.
enum class ExportFormat { none, hf, timm };
constexpr auto enum_names(ExportFormat) { return std::array{"none", "hf", "timm"}; }

/// The section `output:` of a recipe.
struct OutputOptions {
  double checkpoint_epochs = 20;  ///< save every so many epochs (and at the end)
  int64_t keep_last = 2;
  int64_t keep_every = 0;  ///< also keep each checkpoint at a multiple of this many epochs; 0: none
  double preview_epochs = 10;  ///< pictures every so many epochs; 0: only at the end
  int64_t preview_images = 8;
  int64_t log_steps = 50;  ///< the most steps in a metrics line (line_due)
  ExportFormat export_format = ExportFormat::none;
};
void visit(FieldVisitor& v, OutputOptions& o);

/// The sections that every run has; the objective adds its own.
struct RunOptions {
  std::string objective = "mae";
  VitOptions model;
  StartOptions start;
  NormalizeOptions normalize;
  DataOptions data;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  TrainOptions train;
  OutputOptions output;
};
void visit(FieldVisitor& v, RunOptions& o);

}  // namespace previt
