#include "commands/linear_probe.h"

#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "across_ranks.h"
#include "augment/loader.h"
#include "cli/backbone.h"
#include "cli/labelled_data.h"
#include "cli/launch.h"
#include "cli/main.h"
#include "cli/recipe_path.h"
#include "commands/feature_cache.h"
#include "error.h"
#include "finetune/probes/linear_probe.h"
#include "finetune/split.h"
#include "log.h"
#include "models/weights/safetensors.h"
#include "models/weights/weights.h"
#include "progress.h"
#include "recipe_writer.h"
#include "run_lock.h"

namespace previt::cli {
namespace {

using nlohmann::ordered_json;

// The images of a probe: to train on, to choose among the classifiers, to test the chosen one.
struct ProbeData {
  std::shared_ptr<Dataset> fit, choose, test;
  std::vector<std::string> class_names;
};

ProbeData open_data(const std::string& path, const LinearProbeOptions& options) {
  const auto seed = static_cast<uint64_t>(options.seed);
  LabelledData all = open_labelled(path, {.holdout = options.test_holdout, .seed = seed}, "");
  if (all.held_out) {
    info("{}: no validation split; {} images of all classes are held out to test on",
         path,
         all.val->size());
  }
  StratifiedSplit split =
      stratified_split(labels_of(*all.train, path), options.holdout, seed, Stream::probe_choice);
  require(!split.held_out.empty(),
          "{}: too few images of each class to hold some out; see --set holdout",
          path);
  return {.fit = select(all.train, std::move(split.train)),
          .choose = select(all.train, std::move(split.held_out)),
          .test = all.val,
          .class_names = all.class_names()};
}

// The official training view: random resized crop (0.08, 1), bilinear as torchvision's default
// (MAE: bicubic, one draw), and flip.
std::unique_ptr<BatchSource> augmented_source(const Backbone& backbone,
                                              const LinearProbeOptions& options,
                                              const std::shared_ptr<Dataset>& dataset) {
  ViewSpec view;
  view.height = backbone.height;
  view.width = backbone.width;
  view.scale = {0.08, 1.0};
  const bool mae = options.protocol == ProbeProtocol::mae;
  view.crop = mae ? CropKind::single_draw : CropKind::random_resized;
  view.interpolation = mae ? Interpolation::bicubic : Interpolation::bilinear;
  return make_loader(dataset,
                     {view},
                     {.batch = backbone.batch,
                      .drop_last = false,
                      .workers = backbone.workers,
                      .seed = static_cast<uint64_t>(options.seed),
                      .max_bad_fraction = backbone.data.max_bad_fraction},
                     log_warning);
}

// Each rank makes those of consecutive batches, with the crops that one process draws.
Features own_features(const Backbone& backbone,
                      const LinearProbeOptions& options,
                      BatchSource& source,
                      FeatureReading reading) {
  reading.batches = part_of(source.batches_per_epoch(), 1);
  if (reading.batches->empty()) return no_features(backbone, options.features);
  const Busy busy;
  return extract_features(*backbone.vit, source, options.features, reading);
}

LabelledFeatures shared_features(const Features& own, int64_t samples) {
  const at::Tensor values = world().gather(own.values), labels = world().gather(own.labels),
                   indices = world().gather(own.indices);
  // What stands in for an unreadable image may be another rank's, too.
  at::Tensor seen = torch::zeros({samples}, torch::kBool);
  const at::Tensor rows = first_seen_rows(indices, seen);
  if (rows.numel() == indices.numel()) return {values, labels};
  return {values.index_select(0, rows), labels.index_select(0, rows)};
}

struct Trained {
  std::vector<Scores> choose, test;
  size_t best = 0;
};

Trained train_and_judge(LinearProbe& probe,
                        const Backbone& backbone,
                        const LinearProbeOptions& options,
                        const ProbeData& data,
                        const ProbeFeatures& features) {
  const auto source = options.augment ? augmented_source(backbone, options, data.fit) : nullptr;
  const auto of_epoch = [&](int64_t epoch) {
    if (!source) return features.fit;
    FeatureReading reading =
        backbone.reading(fmt::format("epoch {} of {}", epoch + 1, options.epochs));
    reading.epoch = epoch;
    return shared_features(own_features(backbone, options, *source, reading),
                           source->samples_per_epoch());
  };
  {
    Progress progress;
    probe.train(of_epoch, [&](int64_t epoch, double loss) {
      progress.update({.step = epoch + 1,
                       .total_steps = options.epochs,
                       .epoch = static_cast<double>(epoch + 1),
                       .epochs = options.epochs,
                       .loss = loss});
    });
  }
  Trained trained{.choose = probe.evaluate(features.choose), .test = probe.evaluate(features.test)};
  const auto best = std::max_element(
      trained.choose.begin(), trained.choose.end(), [](const auto& a, const auto& b) {
        return a.top1() < b.top1();
      });
  trained.best = static_cast<size_t>(best - trained.choose.begin());
  return trained;
}

// The block of the model that a candidate looks at, from 0; null where it sees several side by
// side.
ordered_json block_of(const LinearProbe::Candidate& candidate,
                      const LinearProbeOptions& options,
                      int64_t depth) {
  if (!options.per_block) return nullptr;
  return depth - options.features.blocks + candidate.block;
}

ordered_json result_of(const Trained& trained,
                       const LinearProbe& probe,
                       const LinearProbeOptions& options,
                       int64_t depth) {
  const auto& candidates = probe.candidates();
  ordered_json result = trained.test[trained.best].json();
  result["protocol"] = name_of(options.protocol);
  result["lr"] = candidates[trained.best].lr;
  if (options.per_block) result["block"] = block_of(candidates[trained.best], options, depth);
  result["chosen_by_top1"] = trained.choose[trained.best].top1();
  result["chosen_by_images"] = trained.choose[trained.best].images();
  ordered_json all = ordered_json::array();
  for (size_t i = 0; i < candidates.size(); ++i) {
    ordered_json one = {{"lr", candidates[i].lr},
                        {"choose_top1", trained.choose[i].top1()},
                        {"top1", trained.test[i].top1()},
                        {"top5", trained.test[i].top5()}};
    if (options.per_block) one["block"] = block_of(candidates[i], options, depth);
    all.push_back(one);
  }
  result["classifiers"] = all;
  return result;
}

LinearProbeOptions read_options(const po::variables_map& args,
                                const VitOptions& model,
                                ReadingOptions& reading) {
  Recipe recipe = args.count("recipe") > 0
                      ? Recipe::load(find_recipe(args["recipe"].as<std::string>()))
                      : Recipe::parse("", "linear_probe");
  apply_settings(recipe, args, std::not_fn(is_model_key));
  recipe.read("data", reading);
  return LinearProbeOptions::read(recipe, model);
}

// The number of images without features, because they can't be read.
int64_t unreadable(const ProbeData& data, const ProbeFeatures& features) {
  const auto without = [](const Dataset& images, const LabelledFeatures& made) {
    return made.labels.defined() ? images.size() - made.labels.size(0) : 0;
  };
  return without(*data.fit, features.fit) + without(*data.choose, features.choose) +
         without(*data.test, features.test);
}

// What the features depend on besides the network: which images.
std::string data_identity(const std::string& path,
                          const LinearProbeOptions& options,
                          const ProbeData& data) {
  return fmt::format("{}: {}, {}, {}, seed {}, holdout {} {}{}",
                     path,
                     images_identity(path, *data.fit),
                     images_identity(path, *data.choose),
                     images_identity(path, *data.test),
                     options.seed,
                     options.holdout,
                     options.test_holdout,
                     options.augment ? ", augmented" : "");
}

}  // namespace

po::options_description linear_probe_options() {
  po::options_description options("Options");
  add_backbone_options(options);
  add_labelled_data_option(options);
  auto add = options.add_options();
  add("out", po::value<std::string>(), "folder for result.json and the classifier");
  add("recipe", po::value<std::string>(), "YAML file with the settings that --set takes");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key=value, for example protocol=mae, lrs=[0.01,0.1], epochs=50, augment=true, or "
      "model.num_heads=6 for weights that don't tell; may be given again");
  add("cache", po::value<std::string>(), "HDF5 file to keep the features in (without augment)");
  add("print-recipe", "print all settings and end");
  add_nproc_option(options);
  return options;
}

int linear_probe(const po::variables_map& args) {
  const auto path = args["data"].as<std::string>();
  Backbone backbone = load_backbone(args, OtherKeys::own);
  const VitOptions& model = backbone.vit->options();
  const LinearProbeOptions options = read_options(args, model, backbone.data);
  if (args.count("print-recipe") > 0) {
    RecipeWriter writer;
    LinearProbeOptions all = options;
    visit(writer, all);
    writer.section("data", backbone.data);
    print(writer.text());
    return 0;
  }
  const std::string cache = args.count("cache") > 0 ? args["cache"].as<std::string>() : "";
  if (!cache.empty() && options.augment) {
    fail_usage("--cache: with augment=true the features are others each epoch");
  }
  std::optional<RunLock> lock;
  if (args.count("out") > 0 && world().leads()) lock.emplace(args["out"].as<std::string>());
  const ProbeData data = open_data(path, options);
  const auto part = [&](const std::shared_ptr<Dataset>& images, const char* task) {
    return labelled_features(backbone, options.features, images, task);
  };
  const ProbeFeatures features = cached_features(
      cache,
      cache.empty()
          ? ""
          : feature_identity(backbone, options.features, data_identity(path, options, data)),
      [&] {
        ProbeFeatures made;
        if (!options.augment) made.fit = part(data.fit, "training features");
        made.choose = part(data.choose, "features to choose by");
        made.test = part(data.test, "test features");
        return made;
      });
  LinearProbe probe(
      options, features.test.values.size(1), static_cast<int64_t>(data.class_names.size()));
  const Trained trained = train_and_judge(probe, backbone, options, data, features);
  auto result = result_of(trained, probe, options, model.depth);
  if (const int64_t left_out = unreadable(data, features); left_out > 0) {
    result["unreadable"] = left_out;
  }
  write_result(args, result);
  if (args.count("out") > 0 && world().leads()) {
    write_safetensors(args["out"].as<std::string>() + "/head.safetensors",
                      named_tensors(*probe.candidates()[trained.best].head),
                      {{"class_names", nlohmann::json(data.class_names).dump()}});
  }
  return 0;
}

}  // namespace previt::cli
