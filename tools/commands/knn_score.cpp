#include "commands/knn_score.h"

#include <memory>
#include <utility>

#include "cli/backbone.h"
#include "cli/labelled_data.h"
#include "communicator.h"
#include "error.h"
#include "failure.h"
#include "finetune/probes/knn.h"
#include "log.h"
#include "random.h"

namespace previt::cli {
namespace {

using Values = std::map<std::string, double>;

// `count` of the samples, one of each of as many equal stretches, so that no class of a sorted
// folder is left out. Which one is drawn: where classes take turns, every tenth sample could be of
// one class.
std::shared_ptr<Dataset> evenly(std::shared_ptr<Dataset> images, int64_t count) {
  const int64_t all = images->size();
  if (count >= all) return images;
  std::vector<int64_t> chosen;
  Random draws(static_cast<uint64_t>(all));
  for (int64_t i = 0; i < count; ++i) {
    chosen.push_back(draws.integer(i * all / count, (i + 1) * all / count));
  }
  return select(std::move(images), std::move(chosen));
}

// An empty result where the data has no labels.
LabelledData labelled(const PretrainRun& run,
                      std::shared_ptr<Dataset> images,
                      const std::string& cache_folder) {
  try {
    LabelledData data = with_validation(std::move(images), run.options.data.path, {}, cache_folder);
    data.train = evenly(data.train, run.knn.train_images);
    data.val = evenly(data.val, run.knn.test_images);
    if (data.held_out) {
      info(
          "{}: no validation split; the kNN score holds out a tenth of each class ({} images, "
          "compared "
          "with {} others), but pretraining sees all of them",
          run.options.data.path,
          data.val->size(),
          data.train->size());
    }
    return data;
  } catch (const UsageError&) {
    throw;
  } catch (const PeerError&) {
    throw;
  } catch (const Error& error) {
    info("no kNN score: {}", error.what());
    return {};
  }
}

// The objective's network as a Backbone. It shares the weights, so each score is of their present
// state.
Backbone view_of(Objective& objective, const RunOptions& run) {
  Backbone backbone;
  backbone.vit = objective.backbone();
  backbone.loaded.source = "the run's network";
  backbone.loaded.normalize = run.normalize;
  backbone.type = scalar_type(run.train.precision);
  backbone.height = backbone.vit->options().image_height();
  backbone.width = backbone.vit->options().image_width();
  backbone.workers = run.data.workers;
  backbone.data.max_bad_fraction = run.data.max_bad_fraction;
  return backbone;
}

Values score(const KnnScoreOptions& options, const LabelledData& data, const Backbone& backbone) {
  const LabelledFeatures train =
      labelled_features(backbone, {}, data.train, "kNN: to compare with");
  const LabelledFeatures test = labelled_features(backbone, {}, data.val, "kNN: test images");
  const auto scores = knn_classify(
      train,
      &test,
      {.ks = {options.k}, .temperatures = {options.temperature}, .device = backbone.device()});
  return {{"knn_top1", scores.front().top1}};
}

}  // namespace

std::function<Values(int64_t)> knn_score(const PretrainRun& run,
                                         Objective& objective,
                                         std::shared_ptr<Dataset> images,
                                         const std::string& cache_folder) {
  if (run.knn.epochs == 0) return {};
  const LabelledData data = labelled(run, std::move(images), cache_folder);
  if (!data.train) return {};
  return [knn = run.knn, data, backbone = view_of(objective, run.options)](int64_t epochs_done) {
    Values values;
    const std::string why = failure_of([&] { values = score(knn, data, backbone); });
    if (!why.empty()) warn("no kNN score after epoch {}: {}", epochs_done, why);
    return values;  // empty after a failure: the run is worth more than its score
  };
}

}  // namespace previt::cli
