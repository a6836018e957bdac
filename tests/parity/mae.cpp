#include "pretrain/objectives/mae.h"

#include "models/vit.h"
#include "parity/vit.h"
#include "pretrain/schedule.h"
#include "pretrain/train/optimizer.h"

using namespace previt;

namespace {

std::shared_ptr<Mae> mae_of(const parity::Fixture& fixture) {
  RunOptions run;
  MaeOptions::set_defaults(run);
  run.model = parity::vit_options(fixture);
  run.model.pos_embed = PosEmbed::sincos;
  MaeOptions options;
  options.mae.mask_ratio = fixture.number("mask_ratio");
  options.mae.norm_pix_loss = fixture.flag("norm_pix_loss");
  options.mae.decoder = {.embed_dim = fixture.integer("decoder_embed_dim"),
                         .depth = fixture.integer("decoder_depth"),
                         .num_heads = fixture.integer("decoder_num_heads"),
                         .mlp_ratio = fixture.number("mlp_ratio")};
  return std::make_shared<Mae>(options, run);
}

// Official names have no `encoder.` before the encoder's.
at::Tensor official(const Mae& mae, const std::string& name) {
  const auto parameters = mae.named_parameters();
  const at::Tensor* own = parameters.find(name);
  return own != nullptr ? *own : parameters["encoder." + name];
}

void load_official(Mae& mae, const NamedTensors& weights, parity::Check& check) {
  torch::NoGradGuard no_grad;
  check.that("number of parameters", weights.size() == mae.named_parameters().size());
  for (const auto& [name, tensor] : weights) official(mae, name).copy_(tensor);
  mae.to(parity::device());
}

void check_forward(const parity::Fixture& fixture, parity::Check& check) {
  const auto mae = mae_of(fixture);
  load_official(*mae, fixture.group("weight."), check);
  const at::Tensor images = fixture.given("input.imgs");
  const RandomMask mask = mae->mask_of(fixture.given("input.noise"));
  check.exact("ids_shuffle", mask.order, fixture.at("output.ids_shuffle"));
  check.exact("ids_restore", mask.restore(), fixture.at("output.ids_restore"));
  check.exact("mask", mask.binary(), fixture.at("output.mask"));

  const at::Tensor latent = mae->encode(images, mask);
  check.t1("latent", latent, fixture.at("output.latent"));
  const at::Tensor prediction = mae->predict_all(latent, mask);
  check.t1("pred", prediction, fixture.at("output.pred"));

  const int64_t patch = fixture.integer("patch_size");
  check.exact(
      "patchify", patchify(images, patch, PixelOrder::channel_last), fixture.at("output.patchify"));
  check.t1("unpatchify_pred",
           unpatchify(prediction,
                      images.size(2) / patch,
                      images.size(3) / patch,
                      patch,
                      PixelOrder::channel_last),
           fixture.at("output.unpatchify_pred"));
  if (fixture.has("output.target_normalized")) {
    check.t1("target_normalized", mae->target(images), fixture.at("output.target_normalized"));
  }

  const at::Tensor loss = mae->loss(images, mask);
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  for (const auto& [name, gradient] : fixture.group("grad.")) {
    check.t2("grad." + name, official(*mae, name).grad(), gradient);
  }
}

// Options and schedule of a run as the fixture's config gives them.
RunOptions mae_run(const parity::Fixture& fixture) {
  RunOptions run;
  run.optimizer.base_lr = fixture.number("lr");
  run.optimizer.base_batch = 0;
  run.optimizer.betas = fixture.config.at("betas").get<std::vector<double>>();
  run.optimizer.eps = fixture.number("adam_eps");
  run.optimizer.weight_decay = fixture.number("weight_decay");
  run.schedule.warmup_epochs = fixture.number("warmup_epochs");
  run.schedule.min_lr = fixture.number("min_lr");
  return run;
}

StepInfo info_of(const parity::Fixture& fixture, int64_t micro_step) {
  const int64_t per_epoch = fixture.integer("iters_per_epoch"), epochs = fixture.integer("epochs");
  return {.step = micro_step,
          .total_steps = per_epoch * epochs,
          .steps_per_epoch = per_epoch,
          .epochs = epochs};
}

void check_decay(const parity::Fixture& fixture, Optimizer& optimizer, parity::Check& check) {
  const auto& exempt = fixture.config.at("no_decay_params");
  for (const auto& parameter : optimizer.parameters()) {
    const std::string name =
        parameter.name.starts_with("encoder.") ? parameter.name.substr(8) : parameter.name;
    const bool no_decay = std::find(exempt.begin(), exempt.end(), name) != exempt.end();
    check.that("decay of " + name, parameter.rule.decay != no_decay);
  }
}

// Iterations count within their epoch, for the rate and for the optimizer's steps. What an epoch's
// end leaves over of an accumulation is dropped, or else goes into the next epoch's first step.
void check_steps(const parity::Fixture& fixture, bool drop_rest, parity::Check& check) {
  const auto mae = mae_of(fixture);
  load_official(*mae, fixture.group("weight."), check);
  const RunOptions run = mae_run(fixture);
  const auto optimizer =
      make_optimizer(run.optimizer, trained_parameters(*mae, mae->param_rules()));
  check_decay(fixture, *optimizer, check);
  const Schedule schedule = lr_schedule(run);
  const int64_t accumulation = fixture.integer("accum_iter");
  std::vector<at::Tensor> losses;
  std::vector<double> rates;
  for (int64_t i = 0; i < fixture.integer("micro_steps"); ++i) {
    const int64_t iteration = i % fixture.integer("iters_per_epoch");
    if (drop_rest && iteration == 0) optimizer->zero_grad();
    rates.push_back(iteration % accumulation == 0 ? schedule(info_of(fixture, i)) : rates.back());
    const RandomMask mask = mae->mask_of(fixture.given("input.noise")[i]);
    losses.push_back(mae->loss(fixture.given("input.imgs")[i], mask));
    (losses.back() / static_cast<double>(accumulation)).backward();
    if ((iteration + 1) % accumulation != 0) continue;
    optimizer->step(rates.back(), run.optimizer.weight_decay);
    optimizer->zero_grad();
  }
  check.t4("lrs", torch::tensor(rates, torch::kFloat64), fixture.at("output.lrs"));
  const at::Tensor& want_losses = fixture.at("output.losses");
  check.absolute("losses",
                 torch::stack(losses).detach(),
                 want_losses,
                 2e-5 * want_losses.abs().max().item<double>());
  for (const auto& [name, want] : fixture.group("output.weight.")) {
    check_trained(fixture, "output.weight." + name, official(*mae, name), check);
  }
}

}  // namespace

// The official loop drops the rest; where the authors' numbers carry it on, they are right too.
PARITY_CASE(mae_optim) {
  parity::Check dropped;
  check_steps(fixture, /*drop_rest=*/true, dropped);
  const bool rest = fixture.integer("iters_per_epoch") % fixture.integer("accum_iter") != 0;
  if (dropped.passed() || !rest) {
    check = dropped;
  } else {
    check_steps(fixture, /*drop_rest=*/false, check);
  }
}

PARITY_CASE(mae_plain) { check_forward(fixture, check); }
PARITY_CASE(mae_normpix) { check_forward(fixture, check); }
