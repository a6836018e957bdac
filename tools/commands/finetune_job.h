#pragma once

#include <boost/program_options.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/labelled_data.h"
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
  LabelledData data;  ///< its classes are the head's where that is kept; no train with --eval-only

  /// Loads the checkpoint and reads the recipe. A run that is evaluated brings its own recipe: the
  /// same data, size and crop.
  static FinetuneJob read(const po::variables_map& args);

  /// Opens the images and fits them and the run to each other: the classes by name, and a batch
  /// that few labels fill.
  void open_data();

  std::vector<std::string> class_names() const { return data.val->class_names(); }

  /// The model to train or evaluate, on the CPU.
  std::shared_ptr<Vit> build_model() const;

  /// The teacher on its device, after open_data; null without distillation.
  std::shared_ptr<const Distillation> load_distillation(at::Device device) const;

  /// Whether the checkpoint's own head is used.
  bool keeps_head() const { return eval_only || run.finetune.keep_head; }

  std::unique_ptr<BatchSource> training_source() const;
  std::unique_ptr<BatchSource> validation_source() const;

 private:
  void open_evaluation_data();
  void open_training_data();
  void match_head();
};

}  // namespace previt::cli
