#include <csignal>
#include <filesystem>

#include "distributed/ranks.h"
#include "files.h"
#include "support/finetune_command.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

namespace fs = std::filesystem;

const Surroundings kOneThread{.environment = {{"OMP_NUM_THREADS", "1"}}};
const Words kExact = settings({"train.matmul=fixed", "output.keep_last=10"});
const Words kShort = settings({"model.embed_dim=24",
                               "model.depth=2",
                               "train.batch=16",
                               "train.precision=fp32",
                               "train.threads=1",
                               "schedule.warmup_epochs=0",
                               "data.workers=1",
                               "output.checkpoint_epochs=1",
                               "output.preview_images=0"});

const Words kMae = kTinyMae + kExact + Words{"--data", kScenes};

Words dino() {
  const std::string recipe = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/dino.yaml";
  return Words{"--recipe", recipe, "--device", "cpu", "--data", kScenes} + kExact + kShort +
         settings({"model.image_size=[16]",
                   "model.patch_size=4",
                   "dino.local_crops=1",
                   "dino.head.out_dim=32",
                   "dino.head.hidden_dim=32",
                   "dino.head.bottleneck_dim=16",
                   "dino.freeze_last_layer=1",
                   "dino.centering=center",
                   "augment.local.height=8",
                   "augment.local.width=8",
                   "dino.warmup_teacher_temp_epochs=0",
                   "knn.epochs=0"});
}

Words given(const std::string& objective, const Words& own) {
  return Words{"--recipe", objective, "--device", "cpu", "--data", kScenes} + kExact + own +
         kShort + settings({"model.image_size=[16]", "model.patch_size=4"});
}

/// Runs to the end and returns the newest checkpoint.
Checkpoint result(const std::string& run,
                  const Words& words,
                  const std::string& command = "pretrain") {
  const Outcome outcome = run_program(program(command), words + Words{"--out", run}, kOneThread);
  INFO(outcome.errors);
  REQUIRE(outcome.code == 0);
  return newest_checkpoint(run);
}

Words epochs(int64_t number) { return settings({fmt::format("train.epochs={}", number)}); }
Words processes(int64_t number) { return {"--nproc", std::to_string(number)}; }
Words micro(int64_t images) { return settings({fmt::format("train.micro_batch={}", images)}); }

void check_close(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    INFO(name);
    const at::Tensor x = tensor.to(torch::kFloat64), y = b.at(name).to(torch::kFloat64);
    CHECK((x - y).norm().item<double>() <= 1e-6 * std::max(1.0, y.norm().item<double>()));
  }
}

Surroundings rank_of_two(int64_t rank, int64_t port) {
  return {.environment = variables_of(rank, 2, port)};
}

}  // namespace

TEST_CASE("two processes give the weights of one with two micro-batches, bit for bit") {
  const TempFolder folder;
  SECTION("MAE") {
    const Words words = kMae + epochs(2);
    const auto alone = result(folder.path() + "/alone", words + micro(4));
    const auto two = result(folder.path() + "/two", words + processes(2));
    CHECK(same_checkpoint(two, alone));
  }
  SECTION("DINO, whose last layer is frozen in the first epoch") {
    const Words words = dino() + epochs(2);
    const auto alone = result(folder.path() + "/alone", words + micro(8));
    const auto two = result(folder.path() + "/two", words + processes(2));
    CHECK(same_checkpoint(two, alone));
  }
  SECTION("iBOT and DINOv2") {
    const std::string method = GENERATE("ibot", "dinov2"), recipe = folder.path() + "/recipe.yaml";
    INFO(method);
    write_whole_file(recipe, "objective: " + method + "\n");
    const Words words = given(recipe,
                              settings({"model.arch=vit_small",
                                        method + ".local_crops=1",
                                        method + ".head.out_dim=32",
                                        method + ".head.hidden_dim=32",
                                        method + ".head.bottleneck_dim=16",
                                        "augment.local.height=8",
                                        "augment.local.width=8",
                                        "knn.epochs=0"})) +
                        epochs(2);
    const auto alone = result(folder.path() + "/alone", words + micro(8));
    const auto two = result(folder.path() + "/two", words + processes(2));
    CHECK(same_checkpoint(two, alone));
  }
  SECTION("BEiT, whose losses are means over different numbers of patches") {
    const std::string recipe = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/beit.yaml";
    const Words own =
        settings({"beit.tokenizer=colors:64", "beit.masked_patches=6", "knn.epochs=0"});
    const Words words = given(recipe, own) + epochs(2);
    const auto alone = result(folder.path() + "/alone", words + micro(8));
    const auto two = result(folder.path() + "/two", words + processes(2));
    CHECK(same_checkpoint(two, alone));
  }
  SECTION("an image tokenizer, whose codes begin by k-means") {
    const std::string recipe =
        std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/tokenizer.yaml";
    const Words words =
        given(recipe, settings({"vqvae.network.width=16", "vqvae.codebook.codes=32"})) + epochs(2);
    const auto alone = result(folder.path() + "/alone", words + micro(8), "train_tokenizer");
    const auto two = result(folder.path() + "/two", words + processes(2), "train_tokenizer");
    CHECK(same_checkpoint(two, alone));
  }
  SECTION("fine-tuning with mixup") {
    const Words words =
        Words{"--from", "none", "--data", kData, "--device", "cpu"} + kTiny + kExact +
        settings({"train.precision=fp32", "train.threads=1", "output.checkpoint_epochs=1"});
    const std::string one = folder.path() + "/alone", both = folder.path() + "/two";
    const auto alone = result(one, words + micro(8), "finetune");
    const auto two = result(both, words + processes(2), "finetune");
    CHECK(same_checkpoint(two, alone));
  }
}

TEST_CASE("VQ-KD, taught by a network of a file, over two processes as in one") {
  const TempFolder folder;
  const std::string source = PREVIT_SOURCE_DIR;
  const Words words = Words{"--recipe",
                            source + "/recipes/small/tokenizer_vqkd_128.yaml",
                            "--device",
                            "cpu",
                            "--data",
                            "synthetic:shapes,size=32,count=128,val=20"} +
                      kExact + kShort +
                      settings({"model.image_size=[32]",
                                "model.patch_size=8",
                                "model.num_heads=2",
                                "vqkd.teacher=" + source + "/tests/fixtures/timm_hub_a",
                                "vqkd.codebook.codes=16",
                                "vqkd.codebook.dim=8"}) +
                      epochs(2);
  const auto alone = result(folder.path() + "/alone", words + micro(8), "train_tokenizer");
  const auto two = result(folder.path() + "/two", words + processes(2), "train_tokenizer");
  CHECK(same_checkpoint(two, alone));
}

TEST_CASE("four processes give one's weights but for the order of sums") {
  const TempFolder folder;
  // Adam would make steps out of the rounding of gradients that are zero (a key's bias).
  const Words sgd = settings({"optimizer.name=sgd", "optimizer.base_lr=0.1"});
  const Words words = kMae + epochs(1) + sgd;
  const auto alone = result(folder.path() + "/alone", words + micro(2));
  const auto four = result(folder.path() + "/four", words + processes(4));
  check_close(four.backbone, alone.backbone);
  check_close(four.training, alone.training);
}

TEST_CASE("a run goes on with another number of processes as if nothing had happened") {
  const TempFolder folder;
  const Words words = kMae + epochs(3);
  const std::string whole = folder.path() + "/whole", moved = folder.path() + "/moved";
  const auto undisturbed = result(whole, words + processes(2));
  const auto kept = list_checkpoints(whole);  // the newest first, one an epoch
  REQUIRE(kept.size() == 3);
  fs::copy(whole, moved, fs::copy_options::recursive);
  const auto lose = [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) fs::remove_all(list_checkpoints(moved).front());
  };
  lose(0, 2);  // as if it had been killed in the second epoch
  CHECK(same_checkpoint(result(moved, words + micro(4) + Words{"--resume"}), undisturbed));
  lose(0, 1);  // and the one that went on alone, in the third
  CHECK(same_checkpoint(result(moved, words + processes(2) + Words{"--resume"}), undisturbed));
}

TEST_CASE("SIGTERM to one process: all save once and exit 143") {
  const TempFolder folder;
  const std::string run = folder.path() + "/run";
  const Words words = kMae + epochs(2000) + Words{"--out", run} +
                      settings({"output.checkpoint_epochs=2000", "output.log_steps=1"});
  const int64_t port = free_port();
  Program first(program("pretrain"), words, rank_of_two(0, port));
  Program second(program("pretrain"), words, rank_of_two(1, port));
  const std::string metrics = run + "/metrics.jsonl";
  wait_until(first, [&] { return fs::exists(metrics) && fs::file_size(metrics) > 0; });
  second.send(SIGTERM);
  const Outcome of_first = first.wait(), of_second = second.wait();
  INFO(of_first.errors);
  CHECK(of_first.code == 143);
  CHECK(of_second.code == 143);
  CHECK(list_checkpoints(run).size() == 1);
  CHECK_THAT(of_first.errors, ContainsSubstring("stopped and saved"));
  CHECK(of_second.errors.empty());
}

TEST_CASE("a batch that the processes can't share is an error that says which could") {
  const TempFolder folder;
  const Words words =
      kMae + settings({"train.batch=9"}) + processes(2) + Words{"--out", folder.path() + "/run"};
  const Outcome outcome = run_program(program("pretrain"), words, kOneThread);
  CHECK(outcome.code == 2);
  REQUIRE(outcome.error_lines().size() == 1);
  CHECK_THAT(outcome.errors, ContainsSubstring("train.batch: 9") && ContainsSubstring("8 or 10"));
}

TEST_CASE("few training images are shared in micro-batches of one size") {
  const TempFolder folder;
  const Words words = Words{"--from", "none", "--data", kData, "--device", "cpu"} + kTiny + kExact +
                      settings({"train.precision=fp32", "train.threads=1", "train.batch=64"});
  // Each has 25 of 50 images, which 8 doesn't divide.
  result(folder.path() + "/run", words + epochs(1) + micro(8) + processes(2), "finetune");
}

TEST_CASE("processes of different recipes end before they compute, with the first difference") {
  const TempFolder folder;
  const std::string run = folder.path() + "/run";
  const Words words = kMae + Words{"--out", run};
  const int64_t port = free_port();
  Program first(program("pretrain"), words, rank_of_two(0, port));
  Program second(program("pretrain"), words + settings({"train.seed=7"}), rank_of_two(1, port));
  const Outcome of_first = first.wait(), of_second = second.wait();
  CHECK(of_first.code != 0);
  CHECK(of_second.code == 2);
  CHECK_THAT(of_first.errors,
             ContainsSubstring("train.seed: is 7 on rank 1, but 0 on rank 0; give all"));
}
