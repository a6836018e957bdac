#include <cmath>

#include "models/weights/weights.h"
#include "parity/dinov2_run.h"
#include "parity/vit.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/objectives/dinov2.h"
#include "pretrain/schedule.h"
#include "pretrain/train/stepper.h"

namespace previt::parity {
namespace {

void relative(Check& check, const std::string& name, double got, const at::Tensor& want) {
  check.absolute(name, torch::tensor(got), want, 2e-5 * std::abs(want.item<double>()));
}

void check_schedules(const Fixture& fixture,
                     const RunOptions& run,
                     const Dinov2& dinov2,
                     Check& check) {
  const Schedule rate = lr_schedule(run), decay = weight_decay_schedule(run.optimizer);
  const std::map<std::string, Schedule> schedules = {
      {"lr", rate},
      {"wd", decay},
      {"momentum", [&](const StepInfo& info) { return dinov2.teacher_momentum(info); }},
      {"teacher_temp", [&](const StepInfo& info) { return dinov2.teacher_temperature(info); }}};
  const int64_t total = dinov2_info(fixture, 0).total_steps;
  for (const auto& [name, schedule] : schedules) {
    std::vector<double> values;
    for (int64_t step = 0; step <= total; ++step)
      values.push_back(schedule(dinov2_info(fixture, step)));
    check.t4(name,
             torch::tensor(values, torch::kFloat64),
             fixture.at("output.schedule." + name).slice(0, 0, total + 1));
  }
}

void check_rules(const Fixture& fixture, const Dinov2& dinov2, Check& check) {
  const ParamRules rules = dinov2.param_rules();
  std::vector<double> rates, decays;
  for (const auto& name : fixture.config.at("param_names")) {
    const ParamRule rule = rules("student." + own_name(name), {});
    rates.push_back(rule.lr_scale);
    decays.push_back(rule.decay ? 1 : 0);
  }
  const auto table = [](const std::vector<double>& v) { return torch::tensor(v, torch::kFloat64); };
  check.t4("lr_multiplier", table(rates), fixture.at("output.lr_multiplier"));
  check.t4("wd_multiplier", table(decays), fixture.at("output.wd_multiplier"));
}

// What the networks say in the first step, and what their losses compare.
void check_answers(const Fixture& fixture,
                   Dinov2& dinov2,
                   const Dinov2MethodOptions& o,
                   const PatchMask& mask,
                   Check& check) {
  const Batch batch = dinov2_batch(fixture, mask);
  const StepInfo info = dinov2_info(fixture, fixture.integer("start_it"));
  const double temperature = dinov2.teacher_temperature(info);
  const auto buffers = dinov2.named_buffers();
  const Dinov2Rows taught = dinov2.teacher_rows(batch.views, mask);
  check.t1("teacher_cls", taught.cls, fixture.at("output.teacher_cls"));
  check.t1("teacher_patch", taught.patches, fixture.at("output.teacher_patch"));
  const at::Tensor answers = o.targets(taught.cls, buffers["center"], temperature);
  check.t1("teacher_cls_probs", answers, fixture.at("output.teacher_cls_probs"));
  check.t1("teacher_patch_probs",
           o.targets(taught.patches, buffers["center2"], temperature),
           fixture.at("output.teacher_patch_probs"));

  const Dinov2Rows student = dinov2.student_rows(batch.views, mask);
  const int64_t rows = taught.cls.size(0);
  const at::Tensor of_globals = student.cls.slice(0, 0, rows);
  check.t1("student_cls", of_globals, fixture.at("output.student_cls"));
  check.t1("student_local_cls", student.cls.slice(0, rows), fixture.at("output.student_local_cls"));
  check.t1("student_patch", student.patches, fixture.at("output.student_patch"));
  check.t1("student_cls_tokens", student.features, fixture.at("output.student_cls_tokens"));
  const auto crops = student.features.chunk(o.global_crops);
  for (size_t crop = 0; crop < crops.size(); ++crop) {
    check.exact("koleo_nearest",
                nearest_rows(crops[crop]).nearest,
                fixture.at("output.koleo_nearest")[static_cast<int64_t>(crop)]);
  }
  // The pairs of global crops alone, which are logged apart: 2 of 2 + 2 · locals.
  const double pairs = static_cast<double>(o.global_crops - 1) /
                       static_cast<double>(o.global_crops + o.local_crops - 1);
  const at::Tensor global =
      pairs * cross_view_loss(of_globals, answers, o.global_crops, o.student_temp);
  relative(check,
           "dino_global_crops_loss",
           global.item<double>(),
           fixture.at("output.dino_global_crops_loss")[0]);
}

void check_mask(const Fixture& fixture, const PatchMask& mask, int64_t step, Check& check) {
  const auto key = [&](const char* name) { return fmt::format("output.{}_{}", name, step); };
  check.exact(key("mask_indices"), mask.patches, fixture.at(key("mask_indices")));
  const auto crops = static_cast<double>(mask.masked.size(0));
  check.t1(key("masks_weight"), mask.weights() * crops, fixture.at(key("masks_weight")));
}

// The gradients of the first step before they are clipped, and their norms.
void check_first_gradients(const Fixture& fixture,
                           Dinov2& dinov2,
                           const Batch& batch,
                           Check& check) {
  dinov2.step(batch, dinov2_info(fixture, fixture.integer("start_it"))).loss.backward();
  const auto own = named_tensors(dinov2);
  std::map<std::string, double> squares;
  for (const auto& [name, want] : fixture.group("grad.")) {
    const auto it = own.find("student." + own_name(name));
    const at::Tensor got = it == own.end() ? at::Tensor() : it->second.grad();
    check.t2("grad " + name, got, want);
    if (got.defined()) squares[name.substr(0, name.find('.'))] += got.square().sum().item<double>();
  }
  for (const auto& [network, square] : squares) {
    const std::string key = "output.grad_norm_" + network;
    relative(check, key, std::sqrt(square), fixture.at(key)[0]);
  }
}

void check_step(const Fixture& fixture,
                const StepOutcome& outcome,
                const Dinov2MethodOptions& o,
                int64_t step,
                Check& check) {
  const auto want = [&](const char* name) {
    return fixture.at(fmt::format("output.{}", name))[step];
  };
  const auto scalar = [&](const std::string& name, double got, const at::Tensor& expected) {
    relative(check, fmt::format("{}, step {}", name, step), got, expected);
  };
  scalar("loss", outcome.loss, want("losses"));
  check.t4("rate", torch::tensor({outcome.lr}, torch::kFloat64), want("lrs").view({1}));
  at::Tensor square = torch::zeros({}, torch::kFloat64);
  for (const char* network : {"backbone", "dino_head", "ibot_head"}) {
    const auto key = fmt::format("output.grad_norm_{}", network);
    if (fixture.has(key)) square += fixture.at(key)[step].to(torch::kFloat64).square();
  }
  scalar("gradient norm", outcome.gradient_norm, square.sqrt());
  // The losses as they are differentiated: KoLeo and patches are logged at half.
  std::map<std::string, at::Tensor> losses = {
      {"cls_loss", want("dino_local_crops_loss") + want("dino_global_crops_loss")},
      {"patch_loss", 2 * want("ibot_loss")}};
  if (o.koleo_weight > 0) losses["koleo"] = 2 * want("koleo_loss");
  const Scalars means = outcome.averages.means();
  for (const auto& [name, expected] : losses) {
    const auto it = std::find_if(
        means.begin(), means.end(), [&](const auto& mean) { return mean.first == name; });
    if (it == means.end()) {
      check.fail(name, "is no metric");
    } else {
      scalar(name, it->second, expected);
    }
  }
}

void check_centers(const Fixture& fixture, const Dinov2& dinov2, int64_t step, Check& check) {
  const auto buffers = dinov2.named_buffers();
  for (const auto& [kind, buffer] :
       std::map<std::string, std::string>{{"dino", "center"}, {"ibot", "center2"}}) {
    const std::string key = "output.center_" + kind;
    if (!fixture.has(key)) continue;
    check.t1(fmt::format("{}, step {}", key, step), buffers[buffer][0], fixture.at(key)[step]);
  }
}

}  // namespace

PARITY_CASE(dinov2_step) {
  const RunOptions run = dinov2_run(fixture);
  const Dinov2Options options = dinov2_options(fixture);
  Dinov2 dinov2(options, run), raw(options, run);
  load_renamed(dinov2, first_weights(fixture), check);
  load_renamed(raw, first_weights(fixture), check);
  dinov2.train();
  raw.train();
  check_schedules(fixture, run, dinov2, check);
  check_rules(fixture, dinov2, check);
  const PatchMask first = dinov2_mask(fixture, 0);
  check_answers(fixture, raw, options.dinov2, first, check);
  check_first_gradients(fixture, raw, dinov2_batch(fixture, first), check);

  Stepper stepper(dinov2, run);
  const int64_t steps = fixture.integer("steps");
  for (int64_t step = 0; step < steps; ++step) {
    const PatchMask mask = dinov2_mask(fixture, step);
    check_mask(fixture, mask, step, check);
    check_centers(fixture, dinov2, step, check);
    const StepOutcome outcome = stepper.step(
        dinov2_info(fixture, fixture.integer("start_it") + step), run.train.batch, [&] {
          return dinov2_batch(fixture, mask);
        });
    check_step(fixture, outcome, options.dinov2, step, check);
  }
  check_centers(fixture, dinov2, steps, check);
  const auto own = named_tensors(dinov2);
  for (const auto& [name, want] : fixture.group("output.")) {
    const bool of_teacher = name.starts_with("teacher.");
    if (!of_teacher && !name.starts_with("student.")) continue;
    const auto it = own.find(own_name(name));
    const at::Tensor got = it == own.end() ? at::Tensor() : it->second;
    if (of_teacher) {
      check_trained(fixture, "output." + name, got, check, 2e-6, "f64_dev_teacher_over_8e7");
    } else {
      check_trained(fixture, "output." + name, got, check);
    }
  }
}

}  // namespace previt::parity
