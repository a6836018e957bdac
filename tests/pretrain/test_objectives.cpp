// What every registered objective must do. A new one is tested here without a line of its own; to
// keep it fast it may have a reduced recipe in tests/pretrain/objectives/<name>.yaml.
#include "models/layers/block.h"
#include "models/tokenizers/tokenizer.h"
#include "models/weights/weights.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/start_from.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/reduced_recipe.h"
#include "support/same_tensors.h"
#include "support/small_objective.h"
#include "support/temp_folder.h"
#include "support/test_device.h"

using namespace previt;
using test::objectives;
using test::small_run;

namespace {

std::shared_ptr<Objective> build(const PretrainRun& run) {
  torch::manual_seed(7);
  auto objective = run.build();
  objective->to(test::test_device());
  objective->train();
  return objective;
}

Batch random_batch(const Objective& objective, const RunOptions& options) {
  return to_device(test::random_batch(objective, options),
                   objective.views(),
                   options.normalize,
                   test::test_device());
}

// In the first epoch some objectives leave parts alone.
StepInfo second_epoch() { return {.step = 2, .total_steps = 4, .steps_per_epoch = 2, .epochs = 2}; }

at::Tensor loss_of(Objective& objective, const Batch& batch) {
  torch::manual_seed(13);
  return objective.step(batch, second_epoch()).loss;
}

void copy_state(const Objective& from, Objective& to) {
  torch::NoGradGuard no_grad;
  for (const auto& item : from.named_parameters())
    to.named_parameters()[item.key()].copy_(item.value());
  for (const auto& item : from.named_buffers()) to.named_buffers()[item.key()].copy_(item.value());
}

}  // namespace

TEST_CASE(
    "an objective's loss is finite, the same for the same seed, and reaches what is trained") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto objective = build(run);
  const Batch batch = random_batch(*objective, run.options);
  const at::Tensor loss = loss_of(*objective, batch);
  CHECK(loss.dim() == 0);
  CHECK(std::isfinite(loss.item<double>()));
  CHECK(loss.item<double>() == loss_of(*build(run), batch).item<double>());

  loss.backward();
  for (const auto& parameter : objective->named_parameters()) {
    INFO(parameter.key());
    const at::Tensor& gradient = parameter.value().grad();
    if (!parameter.value().requires_grad()) {
      CHECK(!gradient.defined());
    } else {
      REQUIRE(gradient.defined());
      CHECK(gradient.isfinite().all().item<bool>());
      CHECK(gradient.abs().max().item<double>() > 0);
    }
  }
}

TEST_CASE("an objective takes what was drawn ahead for its batch") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto loss = [&](int64_t drawn_for) {
    const auto objective = build(run);
    Batch batch = random_batch(*objective, run.options), other = batch;
    other.indices = batch.indices + drawn_for;
    if (drawn_for >= 0) batch.drawn = objective->draw(other);
    for (at::Tensor& one : batch.drawn) one = one.to(test::test_device());
    return loss_of(*objective, batch).item<double>();
  };
  CHECK(loss(0) == loss(-1));
  CHECK((loss(100) == loss(0)) == build(run)->draw(random_batch(*build(run), run.options)).empty());
}

TEST_CASE("an objective's gradients are the same bits when its blocks are computed again") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto gradients = [&](int64_t checkpointed) {
    const auto objective = build(run);
    checkpoint_blocks(*objective, checkpointed);
    loss_of(*objective, random_batch(*objective, run.options)).backward();
    NamedTensors named;
    for (const auto& parameter : objective->named_parameters()) {
      if (parameter.value().grad().defined()) named[parameter.key()] = parameter.value().grad();
    }
    return named;
  };
  const NamedTensors plain = gradients(0);
  CHECK(!plain.empty());
  check_same_tensors(gradients(kAll), plain);
}

TEST_CASE("an objective takes a batch of one image, or says that it needs more") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  auto run = small_run(name);
  const auto objective = build(run);
  run.options.train.batch = objective->batch_need().images;
  for (int64_t seed = 0; seed < 8; ++seed) {  // masks differ
    Batch batch = random_batch(*objective, run.options);
    batch.indices.add_(100 * seed);
    const StepInfo info = second_epoch();
    const at::Tensor loss = objective->step(batch, info).loss;
    CHECK(std::isfinite(loss.item<double>()));
    loss.backward();
    objective->after_optimizer_step(info);
    for (const auto& parameter : objective->parameters()) {
      if (parameter.grad().defined()) CHECK(parameter.grad().isfinite().all().item<bool>());
    }
    for (const auto& buffer : objective->buffers()) CHECK(buffer.isfinite().all().item<bool>());
  }
}

TEST_CASE("what of DINO compares images asks for two") {
  const auto need = [](std::vector<std::string> changes) {
    auto recipe = test::reduced_recipe("dino");
    for (const auto& assignment : changes) recipe.set(assignment);
    const auto run = PretrainRun::read(recipe);
    return run.build()->batch_need();
  };
  CHECK(need({}).images == 1);
  CHECK(need({"dino.head.use_bn=true"}).images == 1);  // two crops are two rows
  CHECK(need({"dino.koleo_weight=0.1"}).images == 2);
  CHECK(need({"dino.koleo_weight=0.1"}).key == "dino.koleo_weight");
  CHECK(need({"dino.global_crops=1", "dino.head.use_bn=true"}).images == 2);
  CHECK(need({"dino.global_crops=1", "dino.centering=sinkhorn_knopp"}).images == 2);
}

TEST_CASE("an objective's state decides its next loss") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto trained = build(run);
  const Batch batch = random_batch(*trained, run.options);
  loss_of(*trained, batch).backward();
  {
    torch::NoGradGuard no_grad;
    for (auto& p : trained->parameters()) {
      if (p.grad().defined()) p.sub_(0.1 * p.grad());
    }
  }
  trained->after_optimizer_step(second_epoch());
  const double next = loss_of(*trained, batch).item<double>();

  torch::manual_seed(99);
  const auto restored = run.build();
  restored->to(test::test_device());
  restored->train();
  CHECK(loss_of(*restored, batch).item<double>() != next);
  copy_state(*trained, *restored);
  CHECK(loss_of(*restored, batch).item<double>() == next);
}

TEST_CASE("an objective's options survive a resolved recipe") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  auto recipe = Recipe::parse(run.resolved());
  CHECK(PretrainRun::read(recipe).resolved() == run.resolved());
}

TEST_CASE("an objective refuses another number of views than it asks for") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto objective = build(run);
  Batch batch = random_batch(*objective, run.options);
  batch.views.push_back(batch.views.front());
  CHECK_THROWS_AS(loss_of(*objective, batch), Error);
  batch.views.clear();
  CHECK_THROWS_AS(loss_of(*objective, batch), Error);
}

TEST_CASE("an objective keeps a backbone made as the model section says, or a tokenizer") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name);
  const auto objective = run.build();
  const KeptModel kept = objective->kept_model();
  if (const auto backbone = objective->backbone()) {
    CHECK(backbone->options().embed_dim == run.options.model.embed_dim);
    CHECK(backbone->options().depth == run.options.model.depth);
    CHECK(kept.network == backbone);
    CHECK(kept.description.contains("arch"));
  } else {
    CHECK(std::dynamic_pointer_cast<Tokenizer>(kept.network) != nullptr);
    CHECK(kept.description.at("tokenizer") == name);
  }
}

TEST_CASE("every objective with a Vision Transformer starts from one of its own kind") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const auto trained = build(small_run(name));
  const auto backbones = trained->starting_backbones();
  const TempFolder folder;
  if (backbones.empty()) {
    const LoadedModel any = load_model(test::tiny_checkpoint(folder.path()));
    CHECK(trained->backbone() == nullptr);
    CHECK_THROWS_AS(start_from(*trained, any, ""), UsageError);
    return;
  }
  const Vit& vit = *backbones.front().vit;
  const std::string path = folder.path() + "/backbone.safetensors";
  write_safetensors(path, named_tensors(vit), model_metadata(vit.options(), {}, {}));
  const LoadedModel source = load_model(path, nullptr, {.whole = true});

  auto recipe = test::reduced_recipe(name);
  torch::manual_seed(99);
  const auto objective = PretrainRun::read(recipe, &source).build();
  const StartReport report = start_from(*objective, source, "");
  CHECK(report.left_out.empty());
  for (const StartingBackbone& backbone : objective->starting_backbones()) {
    const NamedTensors got = named_tensors(*backbone.vit);
    CHECK(got.size() == source.weights.size());
    for (const auto& [tensor, value] : source.weights) {
      INFO(tensor);
      CHECK(torch::equal(got.at(tensor), value));
    }
  }
  CHECK(report.loaded.size() == backbones.size());
}
