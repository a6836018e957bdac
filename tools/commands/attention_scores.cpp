#include "commands/attention_scores.h"

#include "error.h"
#include "finetune/pictures/attention_maps.h"
#include "log.h"

namespace previt::cli {

AttentionScores::AttentionScores(std::shared_ptr<Dataset> dataset,
                                 const std::string& masks,
                                 int64_t images)
    : dataset_(std::move(dataset)) {
  if (masks.empty()) return;
  masks_.emplace(masks);
  int64_t found = 0;
  for (int64_t i = 0; i < images; ++i) found += masks_->has(dataset_->name(i)) ? 1 : 0;
  require(found > 0, "{}: has no mask named as any of the images", masks);
}

std::optional<at::Tensor> AttentionScores::truth_of(int64_t index,
                                                    const FrameReader& reader) const {
  if (!masks_) return reader.mask(index);
  const auto image = masks_->read(dataset_->name(index));
  if (!image) return std::nullopt;
  return reader.mask_of(*image);
}

void AttentionScores::add(Attended& image, int64_t index, const FrameReader& reader) {
  try {
    const auto truth = truth_of(index, reader);
    if (!truth) return;
    require(truth->sizes() == image.picture.sizes().slice(1),
            "is {} x {} where the image is {} x {}",
            truth->size(0),
            truth->size(1),
            image.picture.size(1),
            image.picture.size(2));
    const int64_t patch = image.picture.size(1) / image.maps.size(1);
    const MaskScore score = score_masks(image.masks, *truth, patch, static_cast<uint64_t>(index));
    ++images_;
    best_ += score.best;
    random_ += score.random;
    centre_box_ += score.centre_box;
    heads_.resize(score.heads.size());
    for (size_t i = 0; i < heads_.size(); ++i) heads_[i] += score.heads[i];
    image.truth = *truth;
  } catch (const Error& error) {
    warn("{}: its mask is left out: {}", dataset_->name(index), error.what());
    ++skipped_;
  }
}

nlohmann::ordered_json AttentionScores::json() const {
  if (images_ == 0) return nlohmann::ordered_json::object();
  const auto count = static_cast<double>(images_);
  nlohmann::ordered_json each = nlohmann::ordered_json::array();
  for (const double head : heads_) each.push_back(head / count);
  return {{"jaccard", best_ / count},
          {"jaccard_random", random_ / count},
          {"jaccard_centre_box", centre_box_ / count},
          {"jaccard_heads", each},
          {"scored_images", images_}};
}

std::string AttentionScores::note() const {
  if (images_ == 0) return "";
  const auto count = static_cast<double>(images_);
  return fmt::format(", jaccard of the best head {:.3f}, random {:.3f}, centre box {:.3f}",
                     best_ / count,
                     random_ / count,
                     centre_box_ / count);
}

}  // namespace previt::cli
