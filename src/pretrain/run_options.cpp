#include "pretrain/run_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "communicator.h"
#include "error.h"
#include "grey.h"

namespace previt {
namespace {

std::string wrong_count(const std::vector<double>& numbers, int64_t wanted) {
  if (static_cast<int64_t>(numbers.size()) == wanted) return "";
  return fmt::format("{} numbers are needed, not {}", wanted, numbers.size());
}

std::string wrong_channels(int64_t channels) {
  if (channels == 1 || channels == 3) return "";
  return fmt::format("{}: images are read as RGB (3) or made grey (1), not with other channels",
                     channels);
}

struct ModelAndStart {
  VitOptions& model;
  StartOptions& start;
};
void visit(FieldVisitor& v, ModelAndStart& o) {
  visit(v, o.model);
  visit(v, o.start);
}

}  // namespace

void visit(FieldVisitor& v, DataOptions& o) {
  v.field("path", o.path, "image folder, .h5 pack, CIFAR-10 folder or synthetic:SPEC");
  v.field("workers",
          o.workers,
          "decoding threads; 0: one per core, on a GPU two fewer",
          between(0, 1024));
  v.field("prefetch", o.prefetch, "batches made ahead", between(1, 1024));
  v.field("max_bad_fraction",
          o.max_bad_fraction,
          "share of unreadable images that ends the run",
          between(0, 1));
  v.field("device_augment",
          o.device_augment,
          "made batch by batch on the device: nothing, whole views, or all but crops and flips");
  v.field("canvas",
          o.canvas,
          "device_augment true: pixels a side to which whole images are squeezed; 0: all have one "
          "size",
          at_least(0));
}

void visit(FieldVisitor& v, StartOptions& o) {
  v.field("from", o.from, "checkpoint whose weights the run starts from; \"\": random ones");
  v.field("from_weights",
          o.from_weights,
          "which of several networks in it: model, ema, teacher, student, or its key");
  v.field("from_checksum", o.from_checksum, "xxh64 that it must have; \"\": any");
  v.field("allow",
          o.allow,
          "names of backbone weights that it may lack or have left over, as reg_*; commas between");
  v.field("freeze_blocks",
          o.freeze_blocks,
          "first blocks that stay as they are, with all that comes before them",
          at_least(0));
}

void visit(FieldVisitor& v, OptimizerOptions& o) {
  v.field("name", o.name, "which optimizer");
  v.field("base_lr", o.base_lr, "learning rate, per base_batch images", at_least(0));
  v.field("base_batch",
          o.base_batch,
          "lr = base_lr x batch / base_batch; 0: lr = base_lr",
          at_least(0));
  v.field("lr_scaling", o.lr_scaling, "by batch / base_batch, or by its square root");
  v.field("betas",
          o.betas,
          "adamw: decay of the averages of gradients and of their squares",
          {0, 1, false, true});
  v.check("betas", wrong_count(o.betas, 2));
  v.field("eps", o.eps, "adamw: added to the root of the second average", at_least(0));
  v.field(
      "momentum", o.momentum, "lars, sgd: decay of the averaged gradients", {0, 1, false, true});
  v.field("trust_coefficient",
          o.trust_coefficient,
          "lars: length of a step by that of the weights",
          above(0));
  v.field(
      "weight_decay", o.weight_decay, "at the first step; of weights, see decay_all", at_least(0));
  v.field("weight_decay_end",
          o.weight_decay_end,
          "weight decay at the end, reached by a cosine; negative: constant");
  v.field("clip_grad", o.clip_grad, "largest gradient norm; 0: off", at_least(0));
  v.field("clip_mode",
          o.clip_mode,
          "the norm is that of all gradients, of each network's, or of each parameter's");
  v.field("decay_all", o.decay_all, "decay biases, norms and tokens too");
  v.field("layer_decay", o.layer_decay, "factor of the rate per layer from the top", {0, 1, true});
}

void visit(FieldVisitor& v, ScheduleOptions& o) {
  v.field("kind", o.kind, "whose learning rate schedule");
  v.field("warmup_epochs", o.warmup_epochs, "over which the rate rises linearly", at_least(0));
  v.field(
      "warmup_steps", o.warmup_steps, "instead of warmup_epochs; 0: warmup_epochs", at_least(0));
  v.field("warmup_lr", o.warmup_lr, "rate at the first step", at_least(0));
  v.field("min_lr", o.min_lr, "rate at the end", at_least(0));
  v.field("decay_epochs", o.decay_epochs, "kind: steps: where the rate falls", at_least(0));
  v.field("decay_rate", o.decay_rate, "kind: steps: to this share of itself", {0, 1, true});
}

at::ScalarType scalar_type(Precision precision) {
  if (precision == Precision::automatic) {
    fail_usage("train.precision: auto is not decided yet; bf16 or fp32 is needed here");
  }
  return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

int64_t TrainOptions::micro() const {
  const int64_t share = std::max<int64_t>(1, batch / world().size());
  int64_t images = micro_batch > 0 && micro_batch < share ? micro_batch : share;
  while (share % images != 0) --images;
  return images;
}

bool TrainOptions::accumulates() const { return micro() * world().size() < batch; }

void TrainOptions::require_shareable() const {
  const int64_t processes = world().size(), share = batch / processes;
  if (processes == 1) return;
  const auto nearest = [&](int64_t unit) {
    const int64_t below = batch / unit * unit;
    return below == 0 ? fmt::format("{}", unit) : fmt::format("{} or {}", below, below + unit);
  };
  if (batch % processes != 0) {
    fail_usage("train.batch: {} images can't be shared evenly by {} processes; {} can",
               batch,
               processes,
               nearest(processes));
  }
  if (micro_batch > 0 && micro_batch < share && share % micro_batch != 0) {
    fail_usage(
        "train.micro_batch: {} does not divide the {} of {} images that each of {} processes "
        "takes; {} does, or train.batch: {}",
        micro_batch,
        share,
        batch,
        processes,
        micro(),
        nearest(micro_batch * processes));
  }
  if (!drop_last) {
    fail_usage("train.drop_last: must be true where several processes share each batch");
  }
}

void visit(FieldVisitor& v, TrainOptions& o) {
  v.field("epochs", o.epochs, "passes over the data", at_least(1));
  v.field("freeze_epochs",
          o.freeze_epochs,
          "first epochs in which the backbone stays as it is",
          at_least(0));
  v.field("batch", o.batch, "images per optimizer step, of all processes", at_least(1));
  v.field("micro_batch",
          o.micro_batch,
          "images in memory at a time; 0: a process's share of the batch; auto: what fits "
          "(pretraining)",
          at_least(0),
          {"auto"});
  v.field("precision",
          o.precision,
          "in which networks compute; weights are fp32; auto: the faster one on this machine");
  v.field("matmul",
          o.matmul,
          "libraries for large matmuls on a CPU: measured in the first steps, or fixed, so that "
          "equal seeds give equal bits");
  v.field(
      "deterministic",
      o.deterministic,
      "equal seeds give equal bits on a GPU too, and resuming is exact there; slower; matmul is "
      "then fixed");
  v.field("cuda_graph",
          o.cuda_graph,
          "on a GPU, forward and backward of mae and simmim recorded once and replayed, which pays "
          "for small models; auto: if it is faster");
  v.field("seed", o.seed, "of everything random", at_least(0));
  v.field("threads", o.threads, "compute threads; 0: one per core", between(0, 1024));
  v.field("drop_last", o.drop_last, "leave out the last, smaller batch of an epoch");
  v.field(
      "max_bad_steps", o.max_bad_steps, "non-finite losses in a row that end the run", at_least(1));
  v.field("ema_decay", o.ema_decay, "moving average of the weights; 0: off", {0, 1, false, true});
  v.field("timeout",
          o.timeout,
          "seconds that one of several processes waits for another before the run ends",
          between(1, 86400));
  v.field("checkpoint_blocks",
          o.checkpoint_blocks,
          "first blocks of each network that keep only their input and are computed again in "
          "backward: less memory, more time, the same numbers; 0: none",
          at_least(0),
          {"all"});
  v.field(
      "shard_optimizer",
      o.shard_optimizer,
      "with several processes: each keeps the optimizer's state of its share of the weights and "
      "sends the others its updates (ZeRO-1); the same numbers");
}

void visit(FieldVisitor& v, OutputOptions& o) {
  v.field("checkpoint_epochs", o.checkpoint_epochs, "save every so many epochs", above(0));
  v.field("keep_last", o.keep_last, "newest checkpoints that are kept", at_least(1));
  v.field("keep_every",
          o.keep_every,
          "also keep those at multiples of this many epochs; 0: none",
          at_least(0));
  v.field("preview_epochs",
          o.preview_epochs,
          "pictures every so many epochs; 0: at the end",
          at_least(0));
  v.field("preview_images", o.preview_images, "images in a picture", between(0, 64));
  v.field("log_steps",
          o.log_steps,
          "the most steps in a metrics line; an epoch is divided evenly",
          at_least(1));
  v.field("export",
          o.export_format,
          "at the end, also a folder hf/ or timm/ in the run that transformers or timm loads: of "
          "fine-tuning's best checkpoint, else of the last");
}

void visit(FieldVisitor& v, RunOptions& o) {
  v.field("objective", o.objective, "the pretraining method");
  ModelAndStart model{o.model, o.start};
  v.section("model", model);
  v.check("model.in_channels", wrong_channels(o.model.in_channels));
  v.section("normalize", o.normalize);
  if (o.model.in_channels == 1) make_grey(o.normalize);
  v.check("normalize.mean", wrong_count(o.normalize.mean, o.model.in_channels));
  v.check("normalize.std", wrong_count(o.normalize.std, o.model.in_channels));
  v.section("data", o.data);
  v.section("optimizer", o.optimizer);
  v.section("schedule", o.schedule);
  v.section("train", o.train);
  v.section("output", o.output);
}

}  // namespace previt
