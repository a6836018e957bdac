// Every kind of run, killed twice and taken up again, ends bit for bit as one that was left alone.
#include <csignal>
#include <filesystem>

#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"

using namespace previt;
using namespace previt::test;

namespace {

// Images of 16 pixels on one thread: 8 epochs of 8 steps, each with a checkpoint.
Words small_run(const std::string& recipe, const Words& changes) {
  return Words{"--recipe",
               std::string(PREVIT_SOURCE_DIR) + "/recipes/" + recipe,
               "--device",
               device_option(),
               "--data",
               "synthetic:species,size=16,count=64,val=20"} +
         settings({"model.image_size=[16]",
                   "model.patch_size=4",
                   "train.epochs=8",
                   "train.batch=8",
                   "train.micro_batch=4",
                   "train.precision=fp32",
                   "train.threads=1",
                   "schedule.warmup_epochs=1",
                   "data.workers=1",
                   "output.checkpoint_epochs=1",
                   "output.preview_images=0"}) +
         same_bits() + settings(changes);
}

const Words kSmallVit = {
    "model.embed_dim=24", "model.depth=2", "model.num_heads=2", "knn.epochs=0"};

void check_killed(const std::string& name, const Words& words, const std::string& whole) {
  const TempFolder temp;
  const std::string killed = temp.path() + "/killed";
  const Outcome undisturbed = run_program(program(name), words + Words{"--out", whole});
  INFO(undisturbed.errors);
  REQUIRE(undisturbed.code == 0);
  const Words going_on = words + Words{"--out", killed, "--resume"};
  for (const int64_t step : {8, 32}) {
    Program run(program(name), going_on);
    wait_until(run, [&] { return std::filesystem::exists(step_folder(killed, step)); });
    run.send(SIGKILL);
    REQUIRE(run.wait().code == 137);
  }
  const Outcome end = run_program(program(name), going_on);
  CHECK(end.code == 0);
  CHECK_THAT(end.errors, ContainsSubstring("going on after step"));
  CHECK(newest_checkpoint(whole).meta.at("step") == 64);
  CHECK(same_checkpoint(newest_checkpoint(whole), newest_checkpoint(killed)));
}

}  // namespace

TEST_CASE("killed tokenizers, and a BEiT on one of them, end as undisturbed ones", "[programs]") {
  const TempFolder temp;
  const std::string tokenizer = temp.path() + "/vqvae";
  check_killed(
      "train_tokenizer",
      small_run("quickstart/tokenizer.yaml", {"vqvae.network.width=16", "vqvae.codebook.codes=16"}),
      tokenizer);
  check_killed("train_tokenizer",
               small_run("imagenet/tokenizer_dvae.yaml",
                         {"dvae.network.width=16",
                          "dvae.network.blocks=1",
                          "dvae.vocabulary=16",
                          "dvae.temperature_epochs=4"}),
               temp.path() + "/dvae");
  check_killed("pretrain",
               small_run("quickstart/beit.yaml",
                         kSmallVit + Words{"beit.tokenizer=" + tokenizer,
                                           "beit.masked_patches=6",
                                           "beit.block.min_patches=2",
                                           "model.drop_path=0.1"}),
               temp.path() + "/beit");
}

TEST_CASE("a killed DINO, and a tokenizer taught by it, end as undisturbed ones", "[programs]") {
  const TempFolder temp;
  const std::string dino = temp.path() + "/dino";
  check_killed("pretrain",
               small_run("quickstart/dino.yaml",
                         kSmallVit + Words{"dino.centering=center",
                                           "dino.head.out_dim=32",
                                           "dino.head.hidden_dim=16",
                                           "dino.head.bottleneck_dim=8",
                                           "augment.local.height=8",
                                           "augment.local.width=8",
                                           "model.drop_path=0.1"}),
               dino);
  check_killed("train_tokenizer",
               small_run("small/tokenizer_vqkd_128.yaml",
                         Words{"model.embed_dim=24",
                               "model.depth=2",
                               "model.num_heads=2",
                               "vqkd.teacher=" + dino,
                               "vqkd.codebook.codes=16"}),
               temp.path() + "/vqkd");
}
