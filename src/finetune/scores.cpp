#include "finetune/scores.h"

#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "across_ranks.h"
#include "error.h"

namespace previt {
namespace {

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Scores::Scores(int64_t num_classes)
    : confusion_(torch::zeros({num_classes, num_classes}, torch::kInt64)) {}

void Scores::add(const at::Tensor& logits, const at::Tensor& labels) {
  const int64_t classes = confusion_.size(0);
  require(logits.dim() == 2 && logits.size(1) == classes,
          "scores: logits of {} classes where {} were expected",
          logits.size(-1),
          classes);
  const at::Tensor kept = (labels >= 0).nonzero().squeeze(1);
  if (kept.numel() == 0) return;
  const at::Tensor label = labels.index_select(0, kept);
  require(label.max().item<int64_t>() < classes,
          "scores: label {} where there are {} classes",
          label.max().item<int64_t>(),
          classes);
  const at::Tensor log_p = logits.index_select(0, kept).to(torch::kFloat32).log_softmax(1);
  const at::Tensor best = std::get<1>(log_p.topk(std::min<int64_t>(5, classes), 1));
  // One bincount fills the whole matrix: its cells are numbered row by row.
  const at::Tensor cells = label * classes + best.select(1, 0);
  confusion_ += torch::bincount(cells.cpu(), {}, classes * classes).view({classes, classes});
  top5_right_ += (best == label.unsqueeze(1)).sum().item<int64_t>();
  // In float64, so that the mean depends little on how the images are batched.
  loss_sum_ -= log_p.gather(1, label.unsqueeze(1)).to(torch::kFloat64).sum().item<double>();
}

void Scores::add_ranks(Communicator& all) {
  if (all.alone()) return;
  all.sum(confusion_);
  top5_right_ = total(top5_right_, all);
  const at::Tensor loss = torch::full({1}, loss_sum_, torch::kFloat64);
  all.sum(loss);
  loss_sum_ = loss.item<double>();
}

int64_t Scores::images() const { return confusion_.sum().item<int64_t>(); }

double Scores::top1() const { return percent(confusion_.trace().item<int64_t>(), images()); }

double Scores::top5() const { return percent(top5_right_, images()); }

double Scores::loss() const {
  return images() == 0 ? 0 : loss_sum_ / static_cast<double>(images());
}

int64_t Scores::class_images(int64_t label) const {
  return confusion_[label].sum().item<int64_t>();
}

double Scores::class_accuracy(int64_t label) const {
  return percent(confusion_[label][label].item<int64_t>(), class_images(label));
}

nlohmann::ordered_json Scores::json() const {
  return {{"top1", top1()}, {"top5", top5()}, {"loss", loss()}, {"images", images()}};
}

std::vector<Mistake> worst_mistakes(const at::Tensor& confusion, int64_t limit) {
  std::vector<Mistake> mistakes;
  const at::Tensor wrong = confusion - confusion.diag().diag();
  const at::Tensor cells = wrong.nonzero();
  for (int64_t i = 0; i < cells.size(0); ++i) {
    const auto label = cells[i][0].item<int64_t>(), answer = cells[i][1].item<int64_t>();
    mistakes.push_back({label, answer, wrong[label][answer].item<int64_t>()});
  }
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return a.count > b.count;
  });
  if (static_cast<int64_t>(mistakes.size()) > limit) mistakes.resize(static_cast<size_t>(limit));
  return mistakes;
}

}  // namespace previt
