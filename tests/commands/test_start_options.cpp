// pretrain --from, from one run to the next.
#include <filesystem>

#include "files.h"
#include "finetune/finetune_options.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

namespace fs = std::filesystem;

// A run of one epoch from random weights, as the source of others.
std::string first_run(const TempFolder& folder) {
  const std::string out = folder.path() + "/first";
  REQUIRE(pretrain(kTinyMae + Words{"--data", kScenes, "--out", out, "--set", "train.epochs=1"}) ==
          0);
  return out;
}

Words second(const TempFolder& folder, const Words& more) {
  return kTinyMae + Words{"--data", kScenes, "--out", folder.path() + "/second"} + more;
}

RunOptions recipe_of(const std::string& run) {
  Recipe recipe = Recipe::load(run + "/recipe.yaml");
  return PretrainRun::read(recipe).options;
}

}  // namespace

TEST_CASE("a run from weights says what became of them, and resumes without them") {
  const TempFolder folder;
  const std::string source = first_run(folder), out = folder.path() + "/second";
  const std::string checkpoint = list_checkpoints(source).front();
  // A rate so low that weights stay what they were, to four digits.
  const Words slow = {"--set", "optimizer.base_lr=1e-12", "--set", "optimizer.weight_decay=0"};
  REQUIRE(pretrain(
              second(folder,
                     Words{"--from", fs::relative(checkpoint).string(), "--set", "train.epochs=1"} +
                         slow)) == 0);

  const StartOptions start = recipe_of(out).start;
  CHECK(start.from == checkpoint);
  CHECK(start.from_checksum.size() == 16);
  const Checkpoint before = newest_checkpoint(source), after = newest_checkpoint(out);
  CHECK(after.meta.at("settings").at("model.from") == start.from);
  CHECK(after.meta.at("settings").at("model.from_checksum") == start.from_checksum);
  for (const auto& [name, tensor] : before.backbone) {
    INFO(name);
    CHECK(torch::allclose(after.backbone.at(name), tensor, 1e-4, 1e-6));
  }
  CHECK(torch::allclose(after.training.at("objective.decoder_pred.weight"),
                        before.training.at("objective.decoder_pred.weight"),
                        1e-4,
                        1e-6));
  const std::string log = read_whole_file(out + "/log.txt");
  CHECK_THAT(log,
             ContainsSubstring("starting from " + start.from + ", xxh64 " + start.from_checksum));
  CHECK_THAT(log, ContainsSubstring("  loaded: backbone ("));
  CHECK_THAT(log, ContainsSubstring("decoder ("));
  CHECK_THAT(log, !ContainsSubstring("optimizer ("));  // which isn't even read

  fs::remove_all(source);
  CHECK(pretrain(second(folder, Words{"--resume", "--set", "train.epochs=2"} + slow)) == 0);
  CHECK(recipe_of(out).start.from == start.from);
  CHECK(recipe_of(out).start.from_checksum == start.from_checksum);
  // Another source would be another run.
  CHECK_THROWS_WITH(
      pretrain(second(folder,
                      Words{"--resume", "--from", "elsewhere", "--set", "train.epochs=3"} + slow)),
      ContainsSubstring("--resume: model.from is " + start.from));
}

TEST_CASE("a run repeats only from the same file") {
  const TempFolder folder;
  const std::string source = first_run(folder);
  const auto read = [&](const Words& more) {
    return cli::read_pretrain_run(parse(cli::pretrain_options(), second(folder, more)));
  };
  const PretrainRun run = read({"--from", source});
  REQUIRE(run.source != nullptr);
  const std::string checksum = run.options.start.from_checksum;
  const std::string from = "model.from=" + source;
  CHECK(read({"--set", from, "--set", "model.from_checksum=" + checksum})
            .options.start.from_checksum == checksum);
  CHECK_THROWS_MATCHES(read({"--set", from, "--set", "model.from_checksum=0123"}),
                       UsageError,
                       Catch::Message("--set model.from_checksum=0123: "
                                      "model.from_checksum: " +
                                      list_checkpoints(source).front() + " has " + checksum +
                                      " instead of 0123: it is another file; \"\" takes "
                                      "any"));
  // That of the recipe is not for what --from names.
  CHECK(read({"--from", source, "--set", "model.from_checksum=0123"}).options.start.from_checksum ==
        checksum);
}

TEST_CASE("a run takes the architecture of its weights over, also when it goes on") {
  const TempFolder folder;
  const std::string source = first_run(folder);
  const Words recipe = {
      "--recipe", folder.path() + "/any.yaml", "--out", folder.path() + "/any", "--device", "cpu"};
  write_whole_file(folder.path() + "/any.yaml",
                   "objective: mae\n"
                   "model: {image_size: [24]}\n"
                   "data: {path: '" +
                       kScenes +
                       "', workers: 1}\n"
                       "mae: {decoder: {embed_dim: 24, depth: 1, num_heads: 3}}\n"
                       "train: {epochs: 1, batch: 8, precision: fp32, threads: 1}\n"
                       "schedule: {warmup_epochs: 0}\n"
                       "output: {checkpoint_epochs: 1, preview_images: 0}\n"
                       "knn: {epochs: 0}\n");
  REQUIRE(pretrain(recipe + Words{"--from", source, "--freeze-blocks", "1"}) == 0);
  const Checkpoint before = newest_checkpoint(source);
  const std::string out = folder.path() + "/any";
  CHECK(torch::equal(newest_checkpoint(out).backbone.at("blocks.0.attn.qkv.weight"),
                     before.backbone.at("blocks.0.attn.qkv.weight")));
  CHECK_FALSE(torch::equal(newest_checkpoint(out).backbone.at("blocks.1.attn.qkv.weight"),
                           before.backbone.at("blocks.1.attn.qkv.weight")));
  CHECK(recipe_of(out).model.embed_dim == 24);
  CHECK(recipe_of(out).model.image_height() == 24);
  fs::remove_all(source);
  CHECK(pretrain(recipe + Words{"--resume", "--freeze-blocks", "1", "--set", "train.epochs=2"}) ==
        0);
}

TEST_CASE("fine-tuning has its own way to name weights") {
  Recipe recipe = Recipe::parse("model: {from: a}");
  CHECK_THROWS_WITH(FinetuneRun::read(recipe, nullptr),
                    ContainsSubstring("model.from: is for pretraining; fine-tuning takes --from"));
}
