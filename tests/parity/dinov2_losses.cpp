#include "parity/parity.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"
#include "pretrain/losses/weighted_cross_entropy.h"
#include "pretrain/masks/patch_mask.h"

namespace previt::parity {

PARITY_CASE(dinov2_sinkhorn) {
  const at::Tensor logits = fixture.given("input.teacher_output");
  const double temperature = fixture.number("temp");
  const int64_t usual = fixture.integer("n_iterations");
  for (const auto& [name, want] : fixture.group("output.")) {
    // dino, ibot: the usual number of iterations; dino_N_iterations: N.
    const auto digits = name.find_first_of("0123456789");
    const int64_t iterations =
        digits == std::string::npos ? usual : std::stoll(name.substr(digits));
    check.t1(name, sinkhorn_knopp(logits, temperature, iterations), want);
  }
}

PARITY_CASE(dinov2_koleo) {
  const at::Tensor x = fixture.given("input.x").clone().requires_grad_();
  check.exact("nn_index", nearest_rows(x).nearest, fixture.at("output.nn_index"));
  const at::Tensor loss = koleo_loss(x);
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check.t2("grad_input.x", x.grad(), fixture.at("grad_input.x"));
}

PARITY_CASE(dinov2_losses) {
  const double temperature = fixture.number("student_temp");
  const auto moved = [&](const at::Tensor& center, const at::Tensor& logits) {
    RowMean mean;
    mean.add(logits);
    return torch::lerp(
        center, mean.mean().view(center.sizes()), 1 - fixture.number("center_momentum"));
  };
  const at::Tensor center = fixture.given("input.center_dino");
  const at::Tensor teacher = fixture.given("input.teacher_cls");
  const at::Tensor targets = centered_softmax(teacher, center, fixture.number("temp"));
  check.t1("dino_teacher_probs", targets, fixture.at("output.dino_teacher_probs"));
  check.t1("dino_center", moved(center, teacher), fixture.at("output.dino_center"));
  at::Tensor loss = torch::zeros({}, device());
  NamedTensors students;
  for (const auto& [name, logits] : fixture.group("input.student_cls_")) {
    const at::Tensor student = students[name] = logits.to(device()).clone().requires_grad_();
    const at::Tensor weights = torch::full({student.size(0)}, 1.0 / student.size(0), device());
    for (const auto& view : targets.split(fixture.integer("B"))) {  // the teacher's crops
      loss = loss + weighted_cross_entropy(student, view, weights, temperature);
    }
  }
  check.t1("dino_loss", loss, fixture.at("output.dino_loss"));
  loss.backward();
  for (const auto& [name, student] : students) {
    check.t2("grad of student_cls_" + name,
             student.grad(),
             fixture.at("grad_input.student_cls_" + name));
  }

  const PatchMask mask(fixture.at("input.masks").to(torch::kBool), device());
  const at::Tensor patch_center = fixture.given("input.center_ibot");
  const at::Tensor patches = fixture.given("input.teacher_patch");
  const at::Tensor patch_targets =
      centered_softmax(patches, patch_center.squeeze(0), fixture.number("temp"));
  check.t1("ibot_teacher_probs", patch_targets, fixture.at("output.ibot_teacher_probs"));
  check.t1("ibot_center", moved(patch_center, patches), fixture.at("output.ibot_center"));
  const at::Tensor student = fixture.given("input.student_patch").clone().requires_grad_();
  const at::Tensor patch_loss =
      weighted_cross_entropy(student, patch_targets, mask.weights(), temperature);
  check.t1("ibot_loss", patch_loss, fixture.at("output.ibot_loss"));
  patch_loss.backward();
  check.t2("grad of student_patch", student.grad(), fixture.at("grad_input.student_patch"));
}

}  // namespace previt::parity
