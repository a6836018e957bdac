#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "batch.h"
#include "models/vit_options.h"
#include "models/weights/safetensors.h"

namespace previt {

/// A backbone with all that is needed to use it.
struct LoadedModel {
  VitOptions options;    ///< num_heads is 0 if it is not known
  NamedTensors weights;  ///< timm's names, float32 unless stored otherwise
  NormalizeOptions normalize;
  std::vector<std::string> class_names;
  double crop_pct = 0;          ///< of the view that its classifier was evaluated on; 0: not known
  std::string source;           ///< the file or folder it came from
  bool heads_told = false;      ///< num_heads is known; else it is 0, or usual for this width
  bool normalize_told = false;  ///< `normalize` is known; else it is usual for the code base
  /// What the files don't say and was taken as usual although it may be otherwise, in words.
  std::vector<std::string> guesses = {};
  std::string format;  ///< WeightFormat::name of these files, or of the run's method; else ""
  std::string choice;  ///< of a file with several networks: which this is, in words; else ""
  NamedTensors extra;  ///< other tensors of the file by their official names (MAE's decoder, heads)
  /// With LoadHints::whole, what belongs to other networks of the file, by the kind of each and our
  /// names ("student.backbone.blocks.0.norm1.weight", "student.head.mlp.0.weight"), and to none
  /// ("dino_loss.center").
  NamedTensors others;
  nlohmann::json
      config;  ///< what came beside the weights: config.json, or args of a .pth; else null

  /// Whether only the class token has a head where a distillation token could have one too.
  bool has_one_head() const {
    return options.dist_token && weights.contains("head.weight") &&
           !weights.contains("head_dist.weight");
  }
};

/// What errors and warnings tell a user to give: the programs' options, unless the caller has
/// others.
struct HintWords {
  std::string heads = "--set model.num_heads=N";
  std::string image_size = "--set model.image_size=[HEIGHT,WIDTH]";
  std::string normalize = "--set normalize.mean=[R,G,B] --set normalize.std=[R,G,B]";
};

/// What a user says about weights that don't say it themselves.
struct LoadHints {
  /// Which of several networks in a file: model, ema, teacher, student, or a key of the file; "":
  /// the usual one.
  std::string network = "";
  /// [height, width], for position tables that are not square; else empty.
  std::vector<int64_t> image_size = {};
  bool whole = false;           ///< fill LoadedModel::others too
  bool backbone_only = false;   ///< of checkpoints of ours, leave LoadedModel::extra empty
  bool heads_said = false;      ///< the user says how many heads there are: no guess to warn of
  bool normalize_said = false;  ///< the same of the normalisation
  HintWords words = {};
};

/// `ckpt` is a run folder (its newest good checkpoint), a checkpoint folder, a file of weights
/// (safetensors or torch.save, whatever its name), or a Hugging Face or timm folder (config.json
/// beside weights in one file or in parts with an index). A file that is named as in such a folder,
/// model.safetensors or pytorch_model.bin, is read with the config.json beside it. Without a
/// description the architecture is inferred from the shapes. An optimizer's state is never read.
/// Throws Error led by the path, also for weights that are not finite. Damaged checkpoints that were
/// passed over, and guesses, are named in `warnings`.
LoadedModel load_model(const std::string& ckpt,
                       std::vector<std::string>* warnings = nullptr,
                       const LoadHints& hints = {});

/// The files of weights that `model` was read from, with LoadHints::backbone_only.
std::vector<std::string> files_read(const LoadedModel& model);

/// The weights in a folder of official files, as `convert` writes it.
constexpr const char* kTorchFile = "checkpoint.pth";
/// XXH64 (16 hexadecimal digits) of the bytes of the file that `model` was read from. Where these
/// are several (a checkpoint of ours, parts with an index), of all one after another, in order of
/// name. Throws Error led by the path.
std::string source_checksum(const LoadedModel& model);

/// The key in the header of our weight files by which they are known.
constexpr const char* kOwnHeader = "previt_format";

/// What the header of a weight file says about its network; for a backbone these are its options.
std::map<std::string, std::string> describe_backbone(const VitOptions& options);

/// The header of our weight files (Checkpoint::backbone_metadata): what LoadedModel holds besides
/// tensors. `description` is the network's, as describe_backbone gives it.
std::map<std::string, std::string> model_metadata(std::map<std::string, std::string> description,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct = 0);
std::map<std::string, std::string> model_metadata(const VitOptions& options,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct = 0);

}  // namespace previt
