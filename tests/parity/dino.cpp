#include "pretrain/objectives/dino.h"

#include "models/heads/multi_crop.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/train/stepper.h"

namespace previt::parity {
namespace {

// A linear layer's bias before BatchNorm has no gradient but rounding.
bool feeds_batch_norm(const Fixture& fixture, const std::string& name) {
  if (!name.ends_with(".bias")) return false;
  const auto digits = name.find_first_of("0123456789");
  if (digits == std::string::npos) return false;
  const int64_t next = std::stoll(name.substr(digits)) + 1;
  return fixture.has(fmt::format("weight.mlp.{}.running_mean", next));
}

void load_all(torch::nn::Module& module, const NamedTensors& weights, Check& check) {
  const LoadReport report = load_into(module, weights);
  module.to(device());
  for (const auto& name : report.missing) check.fail(name, "is not in the file");
  for (const auto& name : report.unexpected) check.fail(name, "is not in the model");
}

void head_case(const Fixture& fixture, Check& check) {
  DinoHead head(fixture.integer("in_dim"),
                {.out_dim = fixture.integer("out_dim"),
                 .hidden_dim = fixture.integer("hidden_dim"),
                 .bottleneck_dim = fixture.integer("bottleneck_dim"),
                 .layers = fixture.integer("nlayers"),
                 .use_bn = fixture.flag("use_bn"),
                 .norm_last_layer = fixture.flag("norm_last_layer")});
  load_all(head, fixture.group("weight."), check);
  const at::Tensor x = fixture.given("input.x").clone().requires_grad_();
  const at::Tensor weight = head.weight_g * head.weight_v / head.weight_v.norm(2, 1, true);
  check.t1("last_layer_effective_weight", weight, fixture.at("output.last_layer_effective_weight"));
  const at::Tensor y = head.forward(x);
  check.t1("y", y, fixture.at("output.y"));
  for (const auto& [name, want] : fixture.group("output.buffer_after.")) {
    check.t1(name, named_tensors(head).at(name), want);
  }
  const at::Tensor loss = (y * fixture.given("input.r")).sum();
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check.t2("grad_input.x", x.grad(), fixture.at("grad_input.x"));
  for (const auto& [name, want] : fixture.group("grad.")) {
    if (!feeds_batch_norm(fixture, name)) {
      check.t2("grad." + name, named_tensors(head).at(name).grad(), want);
    }
  }
  head.eval();  // running statistics were compared; the bottleneck is that of the training pass
  if (!fixture.flag("use_bn")) {
    check.t1("bottleneck", head.bottleneck(x), fixture.at("output.bottleneck_normalized"));
  }
}

DinoMethodOptions temperatures(const Fixture& fixture) {
  DinoMethodOptions o;
  o.teacher_temp = fixture.number("teacher_temp");
  o.warmup_teacher_temp = fixture.number("warmup_teacher_temp");
  o.warmup_teacher_temp_epochs = fixture.integer("warmup_teacher_temp_epochs");
  o.head.out_dim = fixture.integer("out_dim");
  o.student_temp = fixture.config.value("student_temp", o.student_temp);
  o.center_momentum = fixture.config.value("center_momentum", o.center_momentum);
  return o;
}

// A network that only has to exist.
RunOptions smallest_run() {
  RunOptions run;
  DinoOptions::set_defaults(run);
  run.model.embed_dim = 12;
  run.model.depth = 1;
  run.model.num_heads = 1;
  run.model.image_size = {16};
  return run;
}

StepInfo at_epoch(int64_t epoch, int64_t epochs) {
  return {.step = epoch, .total_steps = epochs, .steps_per_epoch = 1, .epochs = epochs};
}

// The run of dino_steps; drop path is 0 in it.
struct Steps {
  explicit Steps(const Fixture& fixture);
  Batch batch(int64_t i) const;
  StepInfo info(int64_t i) const;

  const Fixture& fixture;
  RunOptions run;
  DinoOptions options;
};

Steps::Steps(const Fixture& f) : fixture(f) {
  DinoOptions::set_defaults(run);
  run.model = vit_options(f, "weight.student.backbone.");
  run.model.pos_resize = ResizeConvention::dino;
  run.normalize = {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  run.optimizer.base_lr = f.number("lr");
  run.optimizer.weight_decay = f.number("weight_decay");
  run.optimizer.weight_decay_end = f.number("weight_decay_end");
  run.optimizer.clip_grad = f.number("clip_grad", 0);
  run.schedule.warmup_epochs = f.number("warmup_epochs");
  run.schedule.min_lr = f.number("min_lr");
  run.train.batch = f.integer("batch");
  run.train.precision = Precision::fp32;
  options.dino = temperatures(f);
  options.dino.global_crops = f.at("input.global_0").size(0);
  options.dino.local_crops = f.integer("n_local");
  options.dino.head.hidden_dim = f.integer("hidden_dim");
  options.dino.head.bottleneck_dim = f.integer("bottleneck_dim");
  options.dino.head.norm_last_layer = f.flag("norm_last_layer");
  options.dino.head.layers = f.config.value("nlayers", options.dino.head.layers);
  options.dino.head.use_bn = f.config.value("use_bn", false);
  options.dino.freeze_last_layer = f.integer("freeze_last_layer");
  options.dino.teacher_momentum = f.number("momentum_teacher");
  options.augment.local.height = options.augment.local.width = f.integer("local_size");
}

Batch Steps::batch(int64_t i) const {
  Batch batch;
  for (const char* kind : {"global", "local"}) {
    const auto crops = fixture.tensors.find(fmt::format("input.{}_{}", kind, i));
    if (crops == fixture.tensors.end()) continue;
    for (const auto& crop : crops->second.to(device()).unbind(0)) batch.views.push_back(crop);
  }
  return batch;
}

StepInfo Steps::info(int64_t i) const {
  const int64_t per_epoch = fixture.integer("niter"), epochs = fixture.integer("epochs");
  return {.step = fixture.integer("start_it") + i,
          .total_steps = per_epoch * epochs,
          .steps_per_epoch = per_epoch,
          .epochs = epochs};
}

// Raw gradients of step i: the prototypes' too, which the run itself doesn't make while it freezes
// them.
void check_gradients(const Steps& steps, const Dino& run, int64_t i, Check& check) {
  const Fixture& fixture = steps.fixture;
  DinoOptions options = steps.options;
  options.dino.freeze_last_layer = 0;
  Dino dino(options, steps.run);
  dino.to(device());
  load_into(dino, named_tensors(run));
  dino.train();
  dino.step(steps.batch(i), steps.info(i)).loss.backward();
  const auto student = named_tensors(dino.student());
  if (i == 0) {
    for (const auto& [name, want] : fixture.group("grad.")) {
      check.t2("grad." + name, student.at(name).grad(), want);
    }
  }
  std::vector<at::Tensor> norms;
  for (const std::string name : fixture.config.at("norm_names")) {
    norms.push_back(student.at(name).grad().norm());
  }
  const std::string key = fmt::format("output.grad_norm_{}", i);
  const at::Tensor want = fixture.at(key);
  check.absolute(key, torch::stack(norms), want, 1e-4 * want.max().item<double>());
}

void check_weights(const Fixture& fixture,
                   const std::string& group,
                   const torch::nn::Module& module,
                   Check& check) {
  const auto own = named_tensors(module);
  for (const auto& [name, want] : fixture.group(group)) {
    check_trained(fixture, group + name, own.at(name), check);
  }
}

}  // namespace

PARITY_CASE(dino_head) { head_case(fixture, check); }
PARITY_CASE(dino_head_bn) { head_case(fixture, check); }

PARITY_CASE(dino_loss) {
  DinoOptions options{.dino = temperatures(fixture), .augment = {}};
  const Dino dino(options, smallest_run());
  const int64_t epochs = fixture.integer("nepochs");
  std::vector<double> schedule;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    schedule.push_back(dino.teacher_temperature(at_epoch(epoch, epochs)));
  }
  check.t4("teacher_temp_schedule",
           torch::tensor(schedule, torch::kFloat64),
           fixture.at("output.teacher_temp_schedule"));

  at::Tensor center = fixture.given("input.center").clone();
  const auto run = fixture.config.at("epochs_run").get<std::vector<int64_t>>();
  const int64_t teacher_views = fixture.at("input.teacher").size(1) / fixture.integer("batch");
  for (size_t i = 0; i < run.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const at::Tensor student = fixture.given("input.student")[at].clone().requires_grad_();
    const at::Tensor teacher = fixture.given("input.teacher")[at];
    const at::Tensor targets =
        centered_softmax(teacher, center, schedule[static_cast<size_t>(run[i])]);
    const at::Tensor loss =
        cross_view_loss(student, targets, teacher_views, fixture.number("student_temp"));
    loss.backward();
    RowMean mean;
    mean.add(teacher);
    center.lerp_(mean.mean(), 1 - fixture.number("center_momentum"));
    const auto key = [&](const char* name) { return fmt::format("{}_{}", name, i); };
    check.t1(key("loss"), loss, fixture.at(key("output.loss")));
    check.t1(key("center"), center, fixture.at(key("output.center")));
    check.t2(key("grad_input"), student.grad(), fixture.at(key("grad_input.student")));
  }
}

PARITY_CASE(dino_steps) {
  const Steps steps(fixture);
  Dino dino(steps.options, steps.run);
  dino.train();
  NamedTensors weights = fixture.group("weight.");
  weights["center"] = fixture.at("input.center");
  load_all(dino, weights, check);
  {
    const torch::NoGradGuard no_grad;
    const Batch first = steps.batch(0);
    const auto globals_end = first.views.begin() + steps.options.dino.global_crops;
    const auto logits = [](DinoNetwork& network, const std::vector<at::Tensor>& views) {
      return network.head->forward(multi_crop_features(*network.backbone, views));
    };
    check.t1(
        "student_out_0", logits(dino.student(), first.views), fixture.at("output.student_out_0"));
    check.t1("teacher_out_0",
             logits(dino.teacher(), {first.views.begin(), globals_end}),
             fixture.at("output.teacher_out_0"));
  }

  Stepper stepper(dino, steps.run);
  const Schedule decay = weight_decay_schedule(steps.run.optimizer);
  std::vector<double> losses, rates, decays, momenta;
  for (int64_t i = 0; i < fixture.integer("steps"); ++i) {
    check_gradients(steps, dino, i, check);
    const StepOutcome outcome =
        stepper.step(steps.info(i), steps.run.train.batch, [&] { return steps.batch(i); });
    losses.push_back(outcome.loss);
    rates.push_back(outcome.lr);
    decays.push_back(decay(steps.info(i)));
    momenta.push_back(dino.teacher_momentum(steps.info(i)));
    const std::string key = fmt::format("output.center_{}", i);
    check.t1(key, dino.named_buffers()["center"], fixture.at(key));
  }
  const auto table = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64);
  };
  check.t4("lrs", table(rates), fixture.at("output.lrs"));
  check.t4("wds", table(decays), fixture.at("output.wds"));
  check.t4("momenta", table(momenta), fixture.at("output.momenta"));
  const at::Tensor want = fixture.at("output.losses");
  check.absolute("losses", table(losses), want, 2e-5 * want.abs().max().item<double>());
  check_weights(fixture, "output.student.", dino.student(), check);
  check_weights(fixture, "output.teacher.", dino.teacher(), check);
}

}  // namespace previt::parity
