#include <cmath>

#include "error.h"
#include "finetune/classifier.h"
#include "finetune/distillation.h"
#include "finetune/losses.h"
#include "models/weights/weights.h"
#include "support/catch.h"

using namespace previt;

namespace {

VitOptions tiny(bool dist_token, int64_t side = 8) {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 12;
  o.depth = 1;
  o.num_heads = 2;
  o.image_size = {side};
  o.patch_size = 4;
  o.dist_token = dist_token;
  o.num_classes = 3;
  return o;
}

std::shared_ptr<Vit> random_vit(const VitOptions& options, uint64_t seed) {
  torch::manual_seed(seed);
  auto vit = std::make_shared<Vit>(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : vit->parameters()) parameter.normal_(0, 0.4);
  return vit;
}

LoadedModel loaded(const Vit& vit) {
  LoadedModel model;
  model.options = vit.options();
  model.weights = named_tensors(vit);
  model.normalize = {.mean = {0.1, 0.5, 0.3}, .std = {0.2, 0.25, 0.5}};
  model.source = "teacher";
  return model;
}

RunOptions student_of(const VitOptions& model) {
  RunOptions run;
  run.model = model;
  return run;
}

double number(const at::Tensor& scalar) { return scalar.item<double>(); }

const at::Tensor kStudent = torch::tensor({{0.0, std::log(3.0)}});  // ¼, ¾
const at::Tensor kTeacher = torch::tensor({{std::log(3.0), 0.0}});  // ¾, ¼

}  // namespace

TEST_CASE("hard distillation is cross-entropy with the teacher's answer") {
  CHECK(number(hard_distillation_loss(kStudent, kTeacher)) == Approx(std::log(4.0)));
  const at::Tensor students = torch::cat({kStudent, kStudent}),
                   teachers = torch::cat({kTeacher, 5 * kStudent});
  CHECK(number(hard_distillation_loss(students, teachers)) ==
        Approx((std::log(4.0) + std::log(4.0 / 3)) / 2));
}

TEST_CASE("soft distillation is the official divergence at a temperature") {
  // Σ q ln(q / p) = ½ ln 3, over the 2 numbers of the logits.
  CHECK(number(soft_distillation_loss(kStudent, kTeacher, 1)) == Approx(std::log(3.0) / 4));
  // At T = 2 the odds are √3: (√3 - 1) / (√3 + 1) · ln √3, times T².
  const double root = std::sqrt(3.0);
  CHECK(number(soft_distillation_loss(kStudent, kTeacher, 2)) ==
        Approx(4 * (root - 1) / (root + 1) * std::log(root) / 2));
  CHECK(number(soft_distillation_loss(kStudent, kStudent, 3)) == Approx(0).margin(1e-7));

  const at::Tensor student = kStudent.clone().requires_grad_();
  soft_distillation_loss(student, kTeacher, 1).backward();
  CHECK(torch::allclose(student.grad(), torch::tensor({{-0.25, 0.25}})));
}

TEST_CASE("a teacher sees the images in its own normalisation and at its own size") {
  const auto vit = random_vit(tiny(false), 1);
  vit->eval();
  const LoadedModel model = loaded(*vit);
  RunOptions student = student_of(tiny(true));
  const at::Tensor pixels = torch::randint(256, {4, 3, 8, 8}, torch::kUInt8);
  const DistillationTeacher same_size(model, student);
  const at::Tensor logits = same_size.logits(normalize(pixels, student.normalize, at::kCPU));
  CHECK_FALSE(logits.requires_grad());
  CHECK(torch::allclose(
      logits, vit->forward(normalize(pixels, model.normalize, at::kCPU)), 1e-4, 1e-5));

  // An even picture stays one at any size.
  student.model.image_size = {16};
  const at::Tensor even = torch::full({1, 3, 16, 16}, 77, torch::kUInt8);
  CHECK(torch::allclose(
      DistillationTeacher(model, student).logits(normalize(even, student.normalize, at::kCPU)),
      vit->forward(normalize(even.slice(2, 0, 8).slice(3, 0, 8), model.normalize, at::kCPU)),
      1e-4,
      1e-4));
}

TEST_CASE("a teacher that can't teach is refused in one line") {
  const auto refusal = [](const VitOptions& teacher, const VitOptions& student) {
    try {
      DistillationTeacher(loaded(*random_vit(teacher, 1)), student_of(student));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  VitOptions other = tiny(false);
  CHECK(refusal(other, tiny(true)).empty());
  other.num_classes = 4;
  CHECK(refusal(other, tiny(true)) == "teacher: classifies 4 classes, but the data has 3");
  other.num_classes = 0;
  CHECK(refusal(other, tiny(true)) == "teacher: has no classes to teach; fine-tune it first");
  other = tiny(false);
  other.image_size = {8, 16};
  CHECK(refusal(other, tiny(true)) ==
        "teacher: its images are 8 x 16, of another shape than the student's 8 x 8");
}

TEST_CASE("the class token learns labels, the distillation token the teacher, on mixed images") {
  const auto kind = GENERATE(DistillationKind::hard, DistillationKind::soft);
  FinetuneRun run;
  run.options = student_of(tiny(true));
  run.distillation = {.kind = kind, .teacher = "teacher", .alpha = 0.3, .temperature = 3};
  const auto vit = random_vit(tiny(true), 2), teaching = random_vit(tiny(false), 3);
  LoadedModel model = loaded(*teaching);
  model.normalize = run.options.normalize;
  teaching->eval();
  Classifier classifier(vit,
                        run,
                        std::make_shared<const Distillation>(
                            run.distillation, DistillationTeacher(model, run.options)));

  torch::manual_seed(4);
  const at::Tensor images = torch::randn({4, 3, 8, 8});
  const at::Tensor labels = torch::tensor({0, 1, 2, 1});
  const std::vector<Mix> mixes = {Mix{.lambda = 0.6, .box = {}}};
  const StepResult result = classifier.loss(images, labels, mixes);

  const at::Tensor mixed = mix_images(images, mixes), from_teacher = teaching->forward(mixed);
  const auto logits = vit->head_logits(mixed);
  const double base = number(soft_target_cross_entropy(
      logits[0], mix_targets(smoothed_targets(labels, 3, run.finetune.smoothing), mixes)));
  const double distance =
      number(kind == DistillationKind::hard ? hard_distillation_loss(logits[1], from_teacher)
                                            : soft_distillation_loss(logits[1], from_teacher, 3));
  CHECK(number(result.loss) == Approx(0.7 * base + 0.3 * distance).epsilon(1e-5));

  result.loss.backward();
  const NamedTensors own = named_tensors(*vit);
  for (const char* name : {"head.weight", "head_dist.weight", "dist_token", "cls_token"}) {
    INFO(name);
    CHECK(own.at(name).grad().abs().max().item<double>() > 0);
  }
  // The teacher is no part of what is saved and trained.
  CHECK(named_tensors(classifier).size() == own.size());
}

TEST_CASE("what a distilled run depends on is its teacher's weights") {
  FinetuneRun run;
  run.options = student_of(tiny(true));
  run.distillation = {.kind = DistillationKind::hard, .teacher = "teacher"};
  const auto parts = [&](uint64_t seed) {
    DistillationTeacher teacher(loaded(*random_vit(tiny(false), seed)), run.options);
    const auto distillation =
        std::make_shared<const Distillation>(run.distillation, std::move(teacher));
    return Classifier(random_vit(tiny(true), 2), run, distillation).frozen_parts();
  };
  const Settings first = parts(3);
  REQUIRE(first.size() == 1);
  CHECK(first[0].first == "checksum of distillation.teacher");
  CHECK(parts(3) == first);
  CHECK(parts(4)[0].second != first[0].second);
  CHECK(Classifier(random_vit(tiny(true), 2), run).frozen_parts().empty());
}

TEST_CASE("two heads without a teacher are trained as the mean that they are evaluated as") {
  FinetuneRun run;
  run.options = student_of(tiny(true));
  const auto vit = random_vit(tiny(true), 2);
  Classifier classifier(vit, run);
  const at::Tensor images = torch::randn({4, 3, 8, 8});
  const at::Tensor labels = torch::tensor({0, 1, 2, 1});
  CHECK(number(classifier.loss(images, labels, {}).loss) ==
        Approx(number(label_smoothing_cross_entropy(vit->forward(images), labels, 0.1))));
}

TEST_CASE("positions and tokens are not decayed, and both heads are of the last layer") {
  FinetuneRun run;
  run.options = student_of(tiny(true));
  run.options.optimizer.layer_decay = 0.5;
  const Classifier classifier(random_vit(tiny(true), 2), run);
  const ParamRules rules = classifier.param_rules();
  const at::Tensor matrix = torch::zeros({2, 2}), token = torch::zeros({1, 1, 2});
  for (const char* name : {"vit.pos_embed", "vit.cls_token", "vit.dist_token"}) {
    INFO(name);
    CHECK_FALSE(rules(name, token).decay);
    CHECK(rules(name, token).lr_scale == 0.25);
  }
  for (const char* name : {"vit.head.weight", "vit.head_dist.weight"}) {
    INFO(name);
    CHECK(rules(name, matrix).decay);
    CHECK(rules(name, matrix).lr_scale == 1);
  }
}
