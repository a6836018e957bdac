#include "commands/knn_probe.h"

#include <nlohmann/json.hpp>

#include "augment/open_dataset.h"
#include "cli/backbone.h"
#include "cli/labelled_data.h"
#include "cli/launch.h"
#include "error.h"
#include "finetune/probes/knn.h"
#include "log.h"

namespace previt::cli {
namespace {

KnnOptions read_options(const po::variables_map& args) {
  KnnOptions options{.ks = args["k"].as<std::vector<int64_t>>(),
                     .temperatures = args["temperature"].as<std::vector<double>>()};
  for (const int64_t k : options.ks) {
    if (k < 1) fail_usage("--k: {} is not in [1, inf)", k);
  }
  for (const double temperature : options.temperatures) {
    if (!(temperature > 0)) fail_usage("--temperature: {} is not in (0, inf)", temperature);
  }
  return options;
}

// The highest top-1, the first of equal ones.
const KnnScore& best_of(const std::vector<KnnScore>& scores) {
  return *std::max_element(
      scores.begin(), scores.end(), [](const auto& a, const auto& b) { return a.top1 < b.top1; });
}

// Tells the user where a k is larger than the number of images, so that all of them vote.
void note_large_k(const KnnOptions& options, int64_t images) {
  for (const int64_t k : options.ks) {
    if (k > images) info("k {}: there are {} images to compare with, which all vote", k, images);
  }
}

nlohmann::ordered_json json_of(const KnnScore& score) {
  return {{"top1", score.top1},
          {"top5", score.top5},
          {"k", score.k},
          {"temperature", score.temperature}};
}

// The result is that of the first k and temperature. The best of several would flatter, being
// chosen on the test images themselves.
nlohmann::ordered_json result_of(const std::vector<KnnScore>& scores,
                                 int64_t train,
                                 int64_t test,
                                 bool leave_one_out) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const KnnScore& score : scores) all.push_back(json_of(score));
  nlohmann::ordered_json result = json_of(scores.front());
  result.update({{"train_images", train},
                 {"test_images", test},
                 {"leave_one_out", leave_one_out},
                 {"best", json_of(best_of(scores))},
                 {"scores", all}});
  return result;
}

}  // namespace

po::options_description knn_probe_options() {
  po::options_description options("Options");
  add_backbone_options(options);
  add_labelled_data_option(options);
  add_reading_option(options);
  auto add = options.add_options();
  add("out", po::value<std::string>(), "folder for result.json");
  add("k",
      po::value<std::vector<int64_t>>()->multitoken()->default_value({20}, "20"),
      "neighbours that vote; several at once: --k 20 10 100; the result is the first one's, and "
      "the "
      "best is told too");
  add("temperature",
      po::value<std::vector<double>>()->multitoken()->default_value({0.07}, "0.07"),
      "of the votes exp(similarity / temperature); several at once");
  add("features",
      po::value<std::string>()->default_value("pooled"),
      "pooled (as the model itself pools), cls, mean or cls+mean");
  add("leave-one-out", "classify each image by all others: for data without a validation split");
  add_nproc_option(options);
  return options;
}

int knn_probe(const po::variables_map& args) {
  KnnOptions options = read_options(args);
  const auto features = args["features"].as<std::string>();
  require_choice(features, {"cls", "cls+mean", "mean", "pooled"}, "--features");
  const FeatureOptions tokens{.tokens = enum_named<FeatureTokens>(features, "--features")};
  const bool leave_one_out = args.count("leave-one-out") > 0;
  const auto path = args["data"].as<std::string>();
  const ReadingOptions reading = read_reading_option(args);
  Backbone backbone = load_backbone(args, OtherKeys::own);
  backbone.data = reading;
  options.device = backbone.device();

  LabelledFeatures train, test;
  int64_t images = 0;
  if (leave_one_out) {
    const auto dataset = open_dataset(path, Split::all);
    require_several_classes(*dataset, path);
    train = labelled_features(backbone, tokens, dataset, "features");
    test.labels = train.labels;
    images = dataset->size();
  } else {
    const LabelledData data = open_labelled(path, {}, "");
    if (data.held_out) {
      info(
          "{}: no validation split; {} images of all classes are held out for it (or compare "
          "each image with all others: --leave-one-out)",
          path,
          data.val->size());
    }
    train = labelled_features(backbone, tokens, data.train, "training features");
    test = labelled_features(backbone, tokens, data.val, "test features");
    images = data.train->size() + data.val->size();
  }
  note_large_k(options, train.labels.size(0) - (leave_one_out ? 1 : 0));
  const auto scores = knn_classify(train, leave_one_out ? nullptr : &test, options);
  const int64_t trained = train.labels.size(0), tested = test.labels.size(0);
  auto result = result_of(scores, trained, tested, leave_one_out);
  const int64_t unreadable = images - trained - (leave_one_out ? 0 : tested);
  if (unreadable > 0) result["unreadable"] = unreadable;
  write_result(args, result);
  return 0;
}

}  // namespace previt::cli
