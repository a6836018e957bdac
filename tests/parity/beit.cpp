#include "pretrain/objectives/beit.h"

#include "models/layers/attention.h"
#include "models/layers/block.h"
#include "models/layers/patch_embed.h"
#include "models/layers/rel_pos_bias.h"
#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/masks/block_masking.h"
#include "pretrain/train/stepper.h"
#include "support/replay.h"

namespace previt::parity {
namespace {

// Stands for the tokenizer, whose tokens the fixture gives.
class NoTokenizer final : public Tokenizer {
 public:
  NoTokenizer(const VitOptions& model, int64_t vocab_size)
      : model_(model), vocab_size_(vocab_size) {}
  at::Tensor tokens(const at::Tensor&) override { fail("the tokens are given"); }
  int64_t vocab_size() const override { return vocab_size_; }
  int64_t image_height() const override { return model_.image_height(); }
  int64_t image_width() const override { return model_.image_width(); }
  int64_t grid_height() const override { return model_.grid_height(); }
  int64_t grid_width() const override { return model_.grid_width(); }

 private:
  VitOptions model_;
  int64_t vocab_size_;
};

// Masks and tokens given instead of drawn and computed.
class GivenBeit final : public Beit {
 public:
  using Beit::Beit;
  StepResult step(const Batch& batch, const StepInfo&) override {
    return loss(batch.views.at(0), PatchMask(mask, device()), tokens);
  }
  at::Tensor mask, tokens;
};

// Official names → ours: the encoder's parts get its prefix.
NamedTensors ours(const NamedTensors& official) {
  NamedTensors named;
  for (const auto& [key, tensor] : official) {
    const bool own =
        key == "mask_token" || key.starts_with("lm_head.") || key.starts_with("cls_pt_");
    named[own ? key : "encoder." + key] = tensor;
  }
  return named;
}

std::string our_name(const std::string& official) {
  std::string name = ours({{official, {}}}).begin()->first;
  for (const auto& [from, to] : kBeitRenames) {
    const auto at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

BeitOptions beit_options(const Fixture& fixture) {
  BeitOptions options;
  options.beit.masked_patches = 1;  // not drawn here
  if (fixture.config.contains("head_layers")) {
    options.beit.cls_head = {.layers = fixture.integer("head_layers"),
                             .early_layers = fixture.integer("early_layers"),
                             .shared_lm_head = fixture.flag("shared_lm_head")};
  }
  return options;
}

RunOptions run_options(const Fixture& fixture) {
  RunOptions run;
  BeitOptions::set_defaults(run);
  run.model = beit_vit_options(fixture);
  run.normalize = {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  run.train.precision = Precision::fp32;
  return run;
}

std::shared_ptr<GivenBeit> build(const Fixture& fixture, const RunOptions& run, Check& check) {
  auto beit = std::make_shared<GivenBeit>(
      beit_options(fixture),
      run,
      std::make_shared<NoTokenizer>(run.model, fixture.integer("vocab_size")));
  beit->train();
  load_renamed(*beit, ours(fixture.group("weight.")), check, kBeitRenames);
  return beit;
}

void check_official_gradients(const Fixture& fixture, const Beit& beit, Check& check) {
  const auto own = named_tensors(beit);
  for (const auto& [name, want] : fixture.group("grad.")) {
    const auto it = own.find(our_name(name));
    check.t2("grad." + name, it == own.end() ? at::Tensor() : it->second.grad(), want);
  }
}

at::Tensor mask_of(const at::Tensor& stored) { return stored.flatten(1).to(torch::kBool); }

void masked_modelling(const Fixture& fixture, Check& check) {
  const auto beit = build(fixture, run_options(fixture), check);
  const at::Tensor images = fixture.given("input.img");
  const at::Tensor labels = fixture.given("input.token_ids");
  const PatchMask mask(mask_of(fixture.at("input.bool_masked_pos")), device());
  check.exact("labels", mask.select(labels), fixture.at("output.labels"));
  const at::Tensor tokens = beit->encode(images, mask);
  check.t1("norm_tokens", tokens, fixture.at("output.norm_tokens"));
  check.t1("logits_all", beit->predict_all(tokens), fixture.at("output.logits_all"));
  check.t1("logits_masked", beit->predict(images, mask).main, fixture.at("output.logits_masked"));
  if (fixture.has("output.rel_pos_bias")) {
    Vit& vit = *beit->backbone();
    const VitOptions& model = vit.options();
    at::Tensor bias = vit.attention_biases({model.grid_height(), model.grid_width()}).front();
    if (model.rel_pos_bias == RelPosBias::both) {  // the file has the shared table's alone
      bias =
          bias - relative_position_bias(
                     vit.blocks().front()->attention().relative_position_bias_table,
                     relative_position_index(model.grid_height(), model.grid_width()).to(device()));
    }
    check.t1("rel_pos_bias", bias, fixture.at("output.rel_pos_bias"));
  }
  const StepResult result = beit->loss(images, mask, labels);
  check.t1("loss", result.loss, fixture.at("output.loss"));
  check.t1("accuracy", result.metrics.front().second, fixture.at("output.accuracy"));
  result.loss.backward();
  check_official_gradients(fixture, *beit, check);
}

// The recorded draws; their whole numbers were asked for with both ends included.
at::Tensor half_open(const at::Tensor& draws) {
  at::Tensor rows = draws.clone();
  rows.select(1, 2).add_(rows.select(1, 0));
  return rows;
}

RunOptions steps_run(const Fixture& fixture) {
  RunOptions run = run_options(fixture);
  run.optimizer.base_lr = fixture.number("lr");
  run.optimizer.betas = fixture.config.at("betas").get<std::vector<double>>();
  run.optimizer.eps = fixture.number("opt_eps");
  run.optimizer.weight_decay = fixture.number("weight_decay");
  run.optimizer.weight_decay_end = fixture.number("weight_decay_end");
  run.optimizer.clip_grad = fixture.number("clip_grad", 0);
  run.schedule.warmup_epochs = fixture.number("warmup_epochs");
  run.schedule.warmup_lr = fixture.number("warmup_lr", 0);
  run.schedule.min_lr = fixture.number("min_lr");
  run.train.batch = fixture.integer("batch");
  return run;
}

}  // namespace

PARITY_CASE(beit_block_masking) {
  const auto& configs = fixture.config.at("configs");
  for (size_t i = 0; i < configs.size(); ++i) {
    const auto& config = configs[i];
    const auto& most = config.at("max_num_patches");
    const BlockMaskOptions options{.min_patches = config.at("min_num_patches").get<int64_t>(),
                                   .max_patches = most.is_null() ? 0 : most.get<int64_t>()};
    for (const int64_t seed : fixture.config.at("seeds")) {
      ReplayedDraws draws(half_open(fixture.at(fmt::format("input.draws_{}_{}", i, seed))));
      const std::string key = fmt::format("output.mask_{}_{}", i, seed);
      const at::Tensor mask = block_mask(config.at("input_size")[0].get<int64_t>(),
                                         config.at("input_size")[1].get<int64_t>(),
                                         config.at("num_masking_patches").get<double>(),
                                         options,
                                         draws);
      check.exact(key, mask, fixture.at(key));
      check.that(key + ": asks for all draws", draws.finished());
    }
  }
}

PARITY_CASE(beit_mim_shared) { masked_modelling(fixture, check); }
PARITY_CASE(beit_mim_perblock) { masked_modelling(fixture, check); }
PARITY_CASE(beit_mim_abspos) { masked_modelling(fixture, check); }
PARITY_CASE(beit_mim_both) { masked_modelling(fixture, check); }
PARITY_CASE(beit_mim_lneps) { masked_modelling(fixture, check); }

PARITY_CASE(beit2_mim_cls) {
  const auto beit = build(fixture, run_options(fixture), check);
  const at::Tensor images = fixture.given("input.img");
  const PatchMask mask(mask_of(fixture.at("input.bool_masked_pos")), device());
  const Beit::Prediction logits = beit->predict(images, mask);
  check.t1("logits", logits.main, fixture.at("output.logits"));
  check.t1("logits_cls_pt", logits.cls, fixture.at("output.logits_cls_pt"));
  const StepResult result = beit->loss(images, mask, fixture.given("input.token_ids"));
  check.t1("loss", result.loss, fixture.at("output.loss"));
  for (const auto& [metric, key] :
       {std::pair{"main_loss", "output.loss_1"}, std::pair{"cls_loss", "output.loss_2"}}) {
    for (const auto& [name, value] : result.metrics) {
      if (name == metric) check.t1(name, value, fixture.at(key));
    }
  }
  result.loss.backward();
  check_official_gradients(fixture, *beit, check);
}

PARITY_CASE(beit_steps) {
  const RunOptions run = steps_run(fixture);
  const auto beit = build(fixture, run, check);
  Stepper stepper(*beit, run);
  const Schedule decay = weight_decay_schedule(run.optimizer);
  const int64_t per_epoch = fixture.integer("niter"), epochs = fixture.integer("epochs");
  std::vector<double> losses, norms, rates, decays;
  for (int64_t i = 0; i < fixture.integer("steps"); ++i) {
    beit->mask = mask_of(fixture.at("input.bool_masked_pos")[i]);
    beit->tokens = fixture.given("input.token_ids")[i];
    const StepInfo info{.step = fixture.integer("start_it") + i,
                        .total_steps = per_epoch * epochs,
                        .steps_per_epoch = per_epoch,
                        .epochs = epochs};
    const StepOutcome outcome = stepper.step(info, run.train.batch, [&] {
      return Batch{.views = {fixture.at("input.img")[i]}, .labels = {}, .indices = {}};
    });
    losses.push_back(outcome.loss);
    norms.push_back(outcome.gradient_norm);
    rates.push_back(outcome.lr);
    decays.push_back(decay(info));
  }
  const auto table = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64);
  };
  check.t4("lrs", table(rates), fixture.at("output.lrs"));
  check.t4("wds", table(decays), fixture.at("output.wds"));
  const auto close = [&](const char* key, const std::vector<double>& got) {
    const at::Tensor& want = fixture.at(key);
    check.absolute(key, table(got), want, 2e-5 * want.abs().max().item<double>());
  };
  close("output.losses", losses);
  close("output.grad_norms_before_clip", norms);
  const auto own = named_tensors(*beit);
  for (const auto& [name, want] : fixture.group("output.weight.")) {
    if (name.ends_with("relative_position_index")) continue;
    check_trained(fixture, "output.weight." + name, own.at(our_name(name)), check);
  }
}

}  // namespace previt::parity
