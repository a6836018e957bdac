#include "finetune/probes/linear_probe.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "error.h"
#include "finetune/losses.h"
#include "pretrain/schedule.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/same_start.h"
#include "random.h"

namespace previt {
namespace {

constexpr int64_t kEvaluationRows = 8192;
constexpr double kBaseBatch = 256;
constexpr int64_t kStepsAnEpoch = 10;  // at least, where the batch is not given

struct ProtocolKey {
  ProbeProtocol protocol = ProbeProtocol::dino;
};
void visit(FieldVisitor& v, ProtocolKey& o) { v.field("protocol", o.protocol, "whose evaluation"); }

LinearProbeOptions dino_defaults(const VitOptions& model) {
  LinearProbeOptions o;
  const bool wide = model.embed_dim >= 768;
  o.features = {.tokens = wide ? FeatureTokens::cls_mean : FeatureTokens::cls,
                .blocks = wide ? 1 : std::min<int64_t>(4, model.depth)};
  o.lrs = {0.001, 0.003, 0.01, 0.03, 0.1};  // the official rate is the first
  return o;
}

LinearProbeOptions mae_defaults(const VitOptions& model) {
  LinearProbeOptions o;
  o.protocol = ProbeProtocol::mae;
  o.features = {.tokens = FeatureTokens::cls};
  o.batch_norm = true;
  o.optimizer = OptimizerKind::lars;
  o.lrs = {0.03, 0.1, 0.3, 1};  // the official rate is the second
  o.schedule = ProbeSchedule::mae;
  o.warmup_epochs = 10;
  o.epochs = model.depth >= 24 ? 50 : 90;
  return o;
}

LinearProbeOptions beit_defaults(const VitOptions& model) {
  LinearProbeOptions o;
  o.protocol = ProbeProtocol::beit;
  o.features = {.tokens = FeatureTokens::cls_mean, .blocks = model.depth, .normed = false};
  o.per_block = true;
  o.optimizer = OptimizerKind::adamw;
  o.weight_decay = 1e-4;
  o.lrs = {0.0003, 0.001, 0.003};  // the official rate, 4e-3 at a batch of 1024, is the second
  return o;
}

Schedule rate_of(const LinearProbeOptions& options, double lr, int64_t batch) {
  const double peak = lr * static_cast<double>(batch) / kBaseBatch;
  return options.schedule == ProbeSchedule::mae
             ? mae_schedule(peak, 0, options.warmup_epochs)
             : per_epoch_schedule(peak, std::max(options.warmup_epochs, 1.0));
}

bool is_own(size_t candidate, const Communicator& all) {
  return static_cast<int64_t>(candidate) % all.size() == all.rank();
}

}  // namespace

void visit(FieldVisitor& v, LinearProbeOptions& o) {
  v.field("protocol", o.protocol, "whose evaluation");
  visit(v, o.features);
  v.field("per_block", o.per_block, "a classifier for each block");
  v.field("batch_norm", o.batch_norm, "BatchNorm without scale and shift before the classifier");
  v.field("optimizer", o.optimizer, "of the classifiers");
  v.field(
      "momentum", o.momentum, "sgd, lars: decay of the averaged gradients", {0, 1, false, true});
  v.field("weight_decay", o.weight_decay, "decay of weights, not of biases", at_least(0));
  v.field("lrs", o.lrs, "rates at a batch of 256, all trained at once", above(0));
  v.field("schedule", o.schedule, "cosine by whole epochs, or MAE's");
  v.field(
      "warmup_epochs", o.warmup_epochs, "over which the rates rise linearly from 0", at_least(0));
  v.field("epochs", o.epochs, "passes over the features", at_least(1));
  v.field("batch",
          o.batch,
          "images per step; 0: 1024 (mae: 16384), at most a tenth of the images",
          at_least(0));
  v.field("augment", o.augment, "random crops and flips: features anew each epoch");
  v.field("holdout",
          o.holdout,
          "share of the training images that chooses among the classifiers",
          {0, 1, true, true});
  v.field("test_holdout",
          o.test_holdout,
          "share that is tested on, of data without a validation split",
          {0, 1, true, true});
  v.field("seed", o.seed, "of weights, order and held-out images", at_least(0));
}

LinearProbeOptions LinearProbeOptions::read(Recipe& recipe, const VitOptions& model) {
  ProtocolKey key;
  recipe.read(key);
  LinearProbeOptions options = key.protocol == ProbeProtocol::mae    ? mae_defaults(model)
                               : key.protocol == ProbeProtocol::beit ? beit_defaults(model)
                                                                     : dino_defaults(model);
  recipe.read(options);
  recipe.require_all_read();
  const FeatureOptions& features = options.features;
  if (features.blocks > model.depth) {
    recipe.fail_at("blocks", fmt::format("{}: the model has {}", features.blocks, model.depth));
  }
  if (features.tokens == FeatureTokens::patches)
    recipe.fail_at("tokens", "patches are not one feature an image");
  if (options.batch == 1 && options.batch_norm) {
    recipe.fail_at("batch", "1: BatchNorm needs two images or more");
  }
  if (options.lrs.empty()) recipe.fail_at("lrs", "at least one rate is needed");
  return options;
}

int64_t LinearProbeOptions::batch_for(int64_t images) const {
  if (batch > 0) return std::min(batch, images);
  const int64_t least = batch_norm ? 2 : 1;  // one image has no variance
  return std::clamp<int64_t>(
      images / kStepsAnEpoch, least, protocol == ProbeProtocol::mae ? 16384 : 1024);
}

LinearProbe::LinearProbe(const LinearProbeOptions& options, int64_t width, int64_t classes)
    : options_(options), width_(width), classes_(classes) {
  torch::manual_seed(static_cast<uint64_t>(options.seed));
  const int64_t blocks = options.per_block ? options.features.blocks : 1;
  require(width % blocks == 0, "linear probe: {} features of {} blocks", width, blocks);
  for (int64_t block = 0; block < blocks; ++block) {
    for (const double lr : options.lrs) {
      LinearHead head(LinearHeadOptions{
          .width = width / blocks, .classes = classes, .batch_norm = options.batch_norm});
      candidates_.push_back({block, lr, head});
    }
  }
}

at::Tensor LinearProbe::input_of(const Candidate& candidate, const at::Tensor& values) const {
  const int64_t width = options_.per_block ? width_ / options_.features.blocks : width_;
  return values.slice(1, candidate.block * width, (candidate.block + 1) * width);
}

// A candidate while it is trained.
struct LinearProbe::Training {
  const Candidate* candidate;
  std::unique_ptr<Optimizer> optimizer;
  Schedule rate;
};

std::vector<LinearProbe::Training> LinearProbe::begin(int64_t batch,
                                                      const Communicator& all) const {
  OptimizerOptions rule;
  rule.name = options_.optimizer;
  rule.momentum = options_.momentum;
  rule.betas = {0.9, 0.999};
  std::vector<Training> own;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (!is_own(i, all)) continue;
    LinearHead head = candidates_[i].head;
    head->train();
    own.push_back({&candidates_[i],
                   make_optimizer(rule, trained_parameters(*head, decay_matrices())),
                   rate_of(options_, candidates_[i].lr, batch)});
  }
  return own;
}

// The sum of the candidates' mean losses.
double LinearProbe::train_epoch(std::vector<Training>& own,
                                const LabelledFeatures& data,
                                int64_t batch,
                                int64_t epoch) const {
  const int64_t images = data.values.size(0), steps = std::max<int64_t>(1, images / batch);
  Random draws(
      static_cast<uint64_t>(options_.seed), Stream::probe_order, {static_cast<uint64_t>(epoch)});
  const at::Tensor order = torch::tensor(random_permutation(images, draws));
  double sum = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const at::Tensor rows = order.slice(0, step * batch, (step + 1) * batch);
    const at::Tensor values = data.values.index_select(0, rows);
    const at::Tensor labels = data.labels.index_select(0, rows);
    const StepInfo info{.step = epoch * steps + step,
                        .total_steps = options_.epochs * steps,
                        .steps_per_epoch = steps,
                        .epochs = options_.epochs};
    for (Training& one : own) {
      LinearHead head = one.candidate->head;
      const at::Tensor loss =
          cross_entropy(head->forward(input_of(*one.candidate, values)), labels);
      one.optimizer->zero_grad();
      loss.backward();
      one.optimizer->step(one.rate(info), options_.weight_decay);
      sum += loss.item<double>();
    }
  }
  return sum / static_cast<double>(steps);
}

void LinearProbe::train(const std::function<LabelledFeatures(int64_t epoch)>& features,
                        const std::function<void(int64_t epoch, double loss)>& seen,
                        Communicator& all) {
  std::vector<Training> own;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    const LabelledFeatures data = features(epoch);
    const int64_t batch = options_.batch_for(data.values.size(0));
    if (epoch == 0) own = begin(batch, all);
    const at::Tensor loss = torch::zeros({1}, torch::kFloat64);
    {
      const Busy busy;  // a rank may have fewer candidates, or none
      loss.fill_(train_epoch(own, data, batch, epoch));
    }
    all.sum(loss);
    if (seen) seen(epoch, loss.item<double>() / static_cast<double>(candidates_.size()));
  }
  for (size_t i = 0; i < candidates_.size(); ++i) {
    share_weights(*candidates_[i].head, static_cast<int64_t>(i) % all.size(), all);
  }
}

std::vector<Scores> LinearProbe::evaluate(const LabelledFeatures& features,
                                          Communicator& all) const {
  std::vector<Scores> scores;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    scores.push_back(is_own(i, all) ? score(candidates_[i], features) : Scores(classes_));
  }
  for (Scores& of_one : scores) of_one.add_ranks(all);
  return scores;
}

Scores LinearProbe::score(const Candidate& candidate, const LabelledFeatures& features) const {
  const torch::NoGradGuard no_grad;
  const Busy busy;
  Scores scores(classes_);
  LinearHead head = candidate.head;
  head->eval();
  for (int64_t first = 0; first < features.values.size(0); first += kEvaluationRows) {
    const at::Tensor values = features.values.slice(0, first, first + kEvaluationRows);
    const at::Tensor labels = features.labels.slice(0, first, first + kEvaluationRows);
    // A rate that is far too high ends in NaN: such a classifier knows nothing.
    scores.add(head->forward(input_of(candidate, values)).nan_to_num(0, 0, 0), labels);
  }
  return scores;
}

}  // namespace previt
