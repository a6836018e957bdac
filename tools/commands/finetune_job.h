#pragma once

#include <boost/program_options.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/labelled_data.h"
#include "cli/own_batches.h"
#include "finetune/distillation.h"
#include "finetune/finetune_options.h"
#include "models/vit.h"
#include "models/weights/load_model.h"

namespace previt::cli {

namespace po = boost::program_options;

/// The command line of `finetune`, frozen by a test.
po::options_description finetune_options();

/// What a `finetune` command asks for.
struct FinetuneJob {
  std::string from, out;
  bool eval_only = false, resume = false;
  std::optional<LoadedModel> loaded;  ///< nothing for --from none
  FinetuneRun run;
  LabelledData data;  ///< with the classes of a kept head; --eval-only: no train

  /// Loads the checkpoint and reads the recipe. A run that is evaluated brings its own recipe, for
  /// the same data, size and crop. Throws Error or UsageError.
  static FinetuneJob read(const po::variables_map& args);

  /// Opens the images and fits them and the run to each other: classes are matched by name, and a
  /// batch is no larger than the training images. Throws Error where that can't be done.
  void open_data();

  std::vector<std::string> class_names() const { return data.val->class_names(); }

  /// The model to train or evaluate, on the CPU.
  std::shared_ptr<Vit> build_model() const;

  /// What is learned from the teacher, which is put on `device`; after open_data. Null without
  /// distillation.
  std::shared_ptr<const Distillation> load_distillation(at::Device device) const;

  /// Whether the checkpoint's own head is used.
  bool keeps_head() const { return eval_only || run.finetune.keep_head; }

  std::unique_ptr<BatchSource> training_source() const;
  OwnBatches validation_batches() const;

 private:
  void open_evaluation_data();
  void open_training_data();
  void match_head();

  int64_t evaluation_batch_ = 0;  // after open_data
};

}  // namespace previt::cli
