#include <nlohmann/json.hpp>

#include "error.h"
#include "finetune/losses.h"
#include "finetune/scores.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

namespace {

// Logits that rank the classes 0, 1, 2 … after `best`.
at::Tensor ranking(const std::vector<int64_t>& best, int64_t classes) {
  at::Tensor logits =
      -torch::arange(classes, torch::kFloat32).repeat({static_cast<int64_t>(best.size()), 1});
  for (size_t i = 0; i < best.size(); ++i) logits[static_cast<int64_t>(i)][best[i]] = 5;
  return logits;
}

}  // namespace

TEST_CASE("scores count each image once whatever the batches") {
  const at::Tensor labels = torch::tensor({0, 1, 6, 7, 7}, torch::kInt64);
  const at::Tensor logits = ranking({0, 2, 7, 7, 0}, 8);
  Scores whole(8), parts(8);
  whole.add(logits, labels);
  parts.add(logits.slice(0, 0, 3), labels.slice(0, 0, 3));
  parts.add(logits.slice(0, 3), labels.slice(0, 3));

  CHECK(whole.images() == 5);
  CHECK(whole.top1() == Approx(40));
  CHECK(whole.top5() == Approx(60));  // label 1 is second to 2; 6 and the last 7 are far behind
  CHECK(whole.class_images(7) == 2);
  CHECK(whole.class_accuracy(7) == Approx(50));
  CHECK(whole.class_accuracy(3) == 0);
  CHECK(whole.confusion()[6][7].item<int64_t>() == 1);
  CHECK(whole.confusion()[7][6].item<int64_t>() == 0);
  CHECK(torch::equal(whole.confusion(), parts.confusion()));
  CHECK(parts.loss() == Approx(whole.loss()));
  CHECK(whole.loss() == Approx(cross_entropy(logits, labels).item<double>()));
  CHECK(whole.json().dump().rfind("{\"top1\":40.0,\"top5\":60.0,\"loss\":", 0) == 0);
}

TEST_CASE("scores leave out images without a label and refuse those of unknown classes") {
  Scores scores(3);
  scores.add(ranking({1, 2}, 3), torch::tensor({-1, 2}, torch::kInt64));
  CHECK(scores.images() == 1);
  CHECK(scores.top1() == 100);
  CHECK(scores.top5() == 100);  // of three classes
  CHECK_THROWS_WITH(scores.add(ranking({1}, 3), torch::tensor({3}, torch::kInt64)),
                    "scores: label 3 where there are 3 classes");
  CHECK(Scores(3).top1() == 0);
}

TEST_CASE("scores of the ranks' parts add up to those of all images") {
  torch::manual_seed(1);
  const at::Tensor logits = torch::randn({40, 7}), labels = torch::randint(7, {40}, torch::kInt64);
  Scores whole(7);
  whole.add(logits, labels);
  std::vector<Scores> parts(3, Scores(7));
  const std::vector<int64_t> cuts = {0, 25, 40, 40};  // the last rank has none
  test::ThreadRanks(3).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    parts[rank] = Scores(7);
    const int64_t first = cuts[rank], end = cuts[rank + 1];
    if (first < end) parts[rank].add(logits.slice(0, first, end), labels.slice(0, first, end));
    parts[rank].add_ranks(all);
  });
  for (const Scores& part : parts) {
    CHECK(torch::equal(part.confusion(), whole.confusion()));
    CHECK(part.top5() == whole.top5());
    CHECK(part.loss() == Approx(whole.loss()).epsilon(1e-12));
    CHECK(part.loss() == parts.front().loss());
  }
}

TEST_CASE("the confusion picture names classes, shows counts and escapes markup") {
  const at::Tensor confusion = torch::tensor({{8, 2}, {0, 5}}, torch::kInt64);
  const std::string svg = confusion_svg(confusion, {"cat <b>", "dog"});
  CHECK(svg.find("cat &lt;b&gt;") != std::string::npos);
  CHECK(svg.find("<b>") == std::string::npos);
  CHECK(svg.find(">8</text>") != std::string::npos);
  CHECK(svg.find("→ dog: 2 (20.0 %)") != std::string::npos);
  const auto mistakes = worst_mistakes(confusion, 10);
  REQUIRE(mistakes.size() == 1);
  CHECK(mistakes[0].count == 2);
}
