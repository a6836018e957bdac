#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "communicator.h"
#include "finetune/probes/features.h"
#include "finetune/probes/knn.h"
#include "finetune/probes/linear_head.h"
#include "finetune/scores.h"
#include "models/vit_options.h"
#include "pretrain/run_options.h"
#include "recipe.h"

namespace previt {

/// Whose evaluation of frozen features.
enum class ProbeProtocol { dino, mae, beit };
constexpr auto enum_names(ProbeProtocol) { return std::array{"dino", "mae", "beit"}; }

/// per_epoch_schedule or mae_schedule (pretrain/schedule.h).
enum class ProbeSchedule { per_epoch, mae };
constexpr auto enum_names(ProbeSchedule) { return std::array{"per_epoch", "mae"}; }

/// How a linear classifier is trained on frozen features. The defaults are those of `protocol`.
struct LinearProbeOptions {
  /// dino (dino:eval_linear.py): class tokens of the last 4 blocks (from width 768 on: class and
  /// mean patch token of the last one), SGD, cosine per epoch;
  /// mae (mae:main_linprobe.py): class token, BatchNorm without scale and shift, LARS, warm-up;
  /// beit (beit:run_linear_eval.py): a classifier for every block on its class and mean patch token
  /// before the norm, AdamW.
  ProbeProtocol protocol = ProbeProtocol::dino;
  FeatureOptions features;
  bool per_block = false;   ///< one classifier a block instead of one for all blocks side by side
  bool batch_norm = false;  ///< before the classifier
  OptimizerKind optimizer = OptimizerKind::sgd;
  double momentum = 0.9, weight_decay = 0;
  std::vector<double> lrs;  ///< per 256 images of the batch; all are trained, `holdout` chooses
  ProbeSchedule schedule = ProbeSchedule::per_epoch;
  double warmup_epochs = 0;
  int64_t epochs = 100;
  int64_t batch = 0;          ///< 0: the protocol's, but at most a tenth of the images
  bool augment = false;       ///< random resized crop and flip: features anew each epoch
  double holdout = 0.1;       ///< share of the training images that chooses rate and block
  double test_holdout = 0.1;  ///< share to test on where data has no validation split
  int64_t seed = 0;

  /// Reads the recipe over the protocol's defaults for this model. Throws UsageError that begins
  /// with the wrong key's place.
  static LinearProbeOptions read(Recipe& recipe, const VitOptions& model);
  /// Images a step, where there are `images` to train on.
  int64_t batch_for(int64_t images) const;
};
void visit(FieldVisitor& v, LinearProbeOptions& o);

/// All classifiers of one run: one for each rate, and with per_block for each rate and block.
class LinearProbe {
 public:
  /// width: of an image's features, all blocks side by side. Seeds torch's generator with
  /// options.seed.
  LinearProbe(const LinearProbeOptions& options, int64_t width, int64_t classes);

  struct Candidate {
    int64_t block = 0;  ///< counted among the blocks that features come from; 0 without per_block
    double lr = 0;      ///< as in the options
    LinearHead head;
  };
  const std::vector<Candidate>& candidates() const { return candidates_; }

  /// Trains every candidate on the same batches. features(epoch) gives the features of an epoch,
  /// counted from 0; they are the same each time unless images are augmented. seen(epoch, loss) is
  /// called after each epoch with the mean loss of all candidates. Several ranks, which have the
  /// same features, take every so many-th candidate each; at the end all have all.
  void train(const std::function<LabelledFeatures(int64_t epoch)>& features,
             const std::function<void(int64_t epoch, double loss)>& seen = {},
             Communicator& all = world());

  /// The scores of each candidate, in the order of candidates(); shared in the same way.
  std::vector<Scores> evaluate(const LabelledFeatures& features, Communicator& all = world()) const;

 private:
  struct Training;
  std::vector<Training> begin(int64_t batch, const Communicator& all) const;
  double train_epoch(std::vector<Training>& own,
                     const LabelledFeatures& data,
                     int64_t batch,
                     int64_t epoch) const;
  Scores score(const Candidate& candidate, const LabelledFeatures& features) const;
  at::Tensor input_of(const Candidate& candidate, const at::Tensor& values) const;

  LinearProbeOptions options_;
  int64_t width_, classes_;
  std::vector<Candidate> candidates_;
};

}  // namespace previt
