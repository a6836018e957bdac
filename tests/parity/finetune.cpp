#include "finetune/classifier.h"
#include "finetune/losses.h"
#include "finetune/mixup.h"
#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/train/stepper.h"

using namespace previt;

namespace {

CutBox box_of(const nlohmann::json& json) {
  return {json[0].get<int64_t>(),
          json[1].get<int64_t>(),
          json[2].get<int64_t>(),
          json[3].get<int64_t>()};
}

FinetuneRun run_of(const parity::Fixture& fixture) {
  FinetuneRun whole;
  RunOptions& run = whole.options;
  run.model = parity::vit_options(fixture);
  run.model.pool = fixture.flag("global_pool") ? Pooling::avg : Pooling::cls;
  run.model.num_classes = fixture.integer("num_classes");
  run.normalize = {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  run.optimizer = {.base_lr = fixture.number("lr"),
                   .base_batch = 0,
                   .betas = fixture.config.at("betas").get<std::vector<double>>(),
                   .eps = fixture.number("adam_eps"),
                   .weight_decay = fixture.number("weight_decay"),
                   .clip_grad = fixture.number("clip_grad", 0),
                   .layer_decay = fixture.number("layer_decay")};
  run.schedule = {.warmup_epochs = fixture.number("warmup_epochs"),
                  .min_lr = fixture.number("min_lr")};
  run.train.epochs = fixture.integer("epochs");
  run.train.batch = fixture.integer("batch");
  run.train.precision = Precision::fp32;
  whole.finetune.smoothing = fixture.number("smoothing");
  return whole;
}

// The classifier with its mixing given instead of drawn.
class GivenMixing final : public Classifier {
 public:
  using Classifier::Classifier;
  StepResult step(const Batch& batch, const StepInfo&) override {
    return loss(batch.views.at(0), batch.labels, {mix});
  }
  Mix mix;
};

}  // namespace

PARITY_CASE(classification_losses) {
  const at::Tensor labels = fixture.given("input.target");
  const auto compare = [&](const std::string& name, const auto& loss_of) {
    const at::Tensor logits = fixture.given("input.logits").clone().requires_grad_();
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
    return soft_target_cross_entropy(logits, fixture.given("input.soft_target"));
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
                                    old ? BoxRounding::timm_0_3_2 : BoxRounding::timm);
      found[i] = torch::tensor({box.top, box.bottom, box.left, box.right});
    }
    const std::string name = old ? "output.bboxes_timm_0_3_2" : "output.bboxes";
    check.exact(name, found, fixture.at(name));
  }
}

PARITY_CASE(mae_ft_steps) {
  const FinetuneRun run = run_of(fixture);
  auto vit = std::make_shared<Vit>(run.options.model);
  load_into(*vit, fixture.group("weight."));
  GivenMixing classifier(vit, run);
  classifier.to(parity::device());
  classifier.train();
  Stepper stepper(classifier, run.options);

  const int64_t per_epoch = fixture.integer("iters_per_epoch");
  for (int64_t i = 0; i < fixture.integer("steps"); ++i) {
    classifier.mix = {.lambda = fixture.config.at("lam")[static_cast<size_t>(i)].get<double>(),
                      .box = {}};
    const StepInfo info{.step = fixture.integer("start_epoch") * per_epoch + i,
                        .total_steps = run.options.train.epochs * per_epoch,
                        .steps_per_epoch = per_epoch,
                        .epochs = run.options.train.epochs};
    const at::Tensor labels = fixture.at("input.target")[i];
    const StepOutcome outcome = stepper.step(info, run.options.train.batch, [&] {
      return Batch{.views = {fixture.at("input.imgs")[i]}, .labels = labels, .indices = {}};
    });
    const auto expect = [&](const char* name) {
      return fixture.at(std::string("output.") + name)[i];
    };
    const auto number = [](double value) { return torch::tensor(value, torch::kFloat64); };
    const auto within = [&](const char* name, double got) {
      const double want = expect(name).item<double>();
      check.absolute(
          fmt::format("{} {}", name, i), number(got), expect(name), 2e-5 * std::abs(want));
    };
    within("losses", outcome.loss);
    within("grad_norms_before_clip", outcome.gradient_norm);
    check.t4(fmt::format("rate {}", i), number(outcome.lr), expect("lrs"));
    check.t1(
        fmt::format("targets {}", i),
        mix_targets(smoothed_targets(labels, run.options.model.num_classes, run.finetune.smoothing),
                    {classifier.mix}),
        expect("targets"));
  }
  for (const auto& [name, want] : fixture.group("output.weight.")) {
    parity::check_trained(fixture, "output.weight." + name, named_tensors(*vit).at(name), check);
  }
}
