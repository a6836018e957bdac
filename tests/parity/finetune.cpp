#include "finetune/losses.h"
#include "finetune/mixup.h"
#include "parity/parity.h"

using namespace previt;

namespace {

CutBox box_of(const nlohmann::json& json) {
  return {json[0].get<int64_t>(),
          json[1].get<int64_t>(),
          json[2].get<int64_t>(),
          json[3].get<int64_t>()};
}

}  // namespace

PARITY_CASE(classification_losses) {
  const at::Tensor labels = fixture.at("input.target");
  const auto compare = [&](const std::string& name, const auto& loss_of) {
    const at::Tensor logits = fixture.at("input.logits").clone().requires_grad_();
    const at::Tensor loss = loss_of(logits);
    loss.backward();
    check.t1(name, loss, fixture.at("output." + name));
    check.t2("grad of " + name, logits.grad(), fixture.at("grad_input." + name));
  };
  compare("cross_entropy", [&](const at::Tensor& logits) { return cross_entropy(logits, labels); });
  compare("label_smoothing", [&](const at::Tensor& logits) {
    return label_smoothing_cross_entropy(logits, labels, fixture.number("smoothing"));
  });
  compare("soft_target", [&](const at::Tensor& logits) {
    return soft_target_cross_entropy(logits, fixture.at("input.soft_target"));
  });
}

PARITY_CASE(mixup_cutmix) {
  const at::Tensor images = fixture.at("input.x");
  const int64_t height = images.size(2), width = images.size(3);
  const at::Tensor targets = smoothed_targets(
      fixture.at("input.target"), fixture.integer("num_classes"), fixture.number("smoothing"));
  check.t1("targets_lam1", mix_targets(targets, {Mix{}}), fixture.at("output.targets_lam1"));

  const Mix blend{.lambda = fixture.number("mixup_lam"), .box = {}};
  check.t1("mixup_x", mix_images(images, {blend}), fixture.at("output.mixup_x"));
  check.t1("mixup_target", mix_targets(targets, {blend}), fixture.at("output.mixup_target"));

  const auto& boxes = fixture.config.at("boxes");
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Mix cut = Mix::cut(box_of(boxes[i]), height, width);
    const auto name = [&](const char* what) { return fmt::format("output.cutmix_{}_{}", what, i); };
    check.t4(name("lam"), torch::full({1}, cut.lambda, torch::kFloat64), fixture.at(name("lam")));
    check.t1(name("x"), mix_images(images, {cut}), fixture.at(name("x")));
    check.t1(name("target"), mix_targets(targets, {cut}), fixture.at(name("target")));
  }

  std::vector<Mix> each;
  for (size_t i = 0; i < fixture.config.at("elem_lams").size(); ++i) {
    each.push_back(fixture.config.at("elem_use_cutmix")[i].get<int>() != 0
                       ? Mix::cut(box_of(fixture.config.at("elem_boxes")[i]), height, width)
                       : Mix{.lambda = fixture.config.at("elem_lams")[i].get<double>(), .box = {}});
  }
  check.t1("elem_x", mix_images(images, each), fixture.at("output.elem_x"));
  check.t1("elem_target", mix_targets(targets, each), fixture.at("output.elem_target"));

  const at::Tensor queries = fixture.at("input.bbox_queries");
  for (const bool old : {false, true}) {
    at::Tensor found = torch::empty({queries.size(0), 4}, torch::kInt64);
    for (int64_t i = 0; i < queries.size(0); ++i) {
      const auto value = [&](int64_t column) { return queries[i][column].item<double>(); };
      const auto size = static_cast<int64_t>(value(1));
      const CutBox box = cutmix_box(size,
                                    size,
                                    value(0),
                                    static_cast<int64_t>(value(2)),
                                    static_cast<int64_t>(value(3)),
                                    old);
      found[i] = torch::tensor({box.top, box.bottom, box.left, box.right});
    }
    const std::string name = old ? "output.bboxes_timm_0_3_2" : "output.bboxes";
    check.exact(name, found, fixture.at(name));
  }
}
