#include "finetune/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace previt {
namespace {

constexpr int64_t kMistakes = 10;
constexpr int64_t kUnfoldedClasses = 20;

class ClassNames {
 public:
  explicit ClassNames(const std::vector<std::string>& names) : names_(names) {}
  std::string operator()(int64_t index) const {
    const auto at = static_cast<size_t>(index);
    return at < names_.size() ? names_[at] : std::to_string(index);
  }

 private:
  const std::vector<std::string>& names_;
};

void add_class_table(Report& report, const Scores& scores, const ClassNames& name) {
  std::vector<std::vector<std::string>> rows;
  const int64_t classes = scores.confusion().size(0);
  for (int64_t label = 0; label < classes; ++label) {
    rows.push_back({name(label),
                    std::to_string(scores.class_images(label)),
                    scores.class_images(label) == 0
                        ? "–"
                        : fmt::format("{:.1f} %", scores.class_accuracy(label))});
  }
  report.add_table("Classes", {"class", "images", "right"}, rows, classes > kUnfoldedClasses);
}

void add_mistakes(Report& report, const Scores& scores, const ClassNames& name) {
  std::vector<std::vector<std::string>> rows;
  for (const Mistake& mistake : worst_mistakes(scores.confusion(), kMistakes)) {
    rows.push_back({name(mistake.label), name(mistake.answer), std::to_string(mistake.count)});
  }
  if (!rows.empty())
    report.add_table("Most frequent mistakes", {"class", "answer", "images"}, rows);
}

std::vector<Report::PngPicture> pictures(
    const std::vector<Example>& examples,
    const ClassNames& name,
    const std::function<std::string(const at::Tensor& pixels)>& encode_png) {
  std::vector<Report::PngPicture> list;
  for (const Example& example : examples) {
    const std::string answer =
        fmt::format("{} ({:.0f} %)", name(example.answer), 100 * example.confidence);
    list.push_back({example.answer == example.label
                        ? answer
                        : fmt::format("{}, answered {}", name(example.label), answer),
                    encode_png(example.pixels)});
  }
  return list;
}

}  // namespace

void add_evaluation(Report& report,
                    const Evaluation& evaluation,
                    const std::vector<std::string>& class_names,
                    const std::function<std::string(const at::Tensor& pixels)>& encode_png) {
  const ClassNames name(class_names);
  const Scores& scores = evaluation.scores;
  report.add_figure("top-1", fmt::format("{:.2f} %", scores.top1()));
  report.add_figure("top-5", fmt::format("{:.2f} %", scores.top5()));
  report.add_figure("validation loss", fmt::format("{:.4f}", scores.loss()));
  if (evaluation.unreadable > 0) {
    report.add_figure("unreadable validation images", std::to_string(evaluation.unreadable));
  }
  add_class_table(report, scores, name);
  report.add_svg(
      "Confusion matrix",
      confusion_svg(scores.confusion(), class_names),
      fmt::format("{} validation images: a row for each class, a column for each answer; the "
                  "darker, the larger the share of the row.",
                  scores.images()));
  add_mistakes(report, scores, name);
  if (!encode_png) return;
  report.add_pictures("Right answers, the surest of each class",
                      pictures(evaluation.right, name, encode_png));
  report.add_pictures("Wrong answers, the surest first",
                      pictures(evaluation.wrong, name, encode_png));
}

}  // namespace previt
