// What must not lose a run, as a user meets it: rates that break it, a second writer, a terminal
// that goes away, names of any bytes.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "augment/encode_png.h"
#include "files.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"
#include "utf8.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

Words mae(const std::string& out, int64_t epochs, const Words& changes = {}) {
  Words words =
      kTinyMae +
      Words{"--data", kScenes, "--out", out, "--set", fmt::format("train.epochs={}", epochs)};
  for (const auto& change : changes) words = words + Words{"--set", change};
  return words;
}

Words classifier(const std::string& data, const std::string& out, const Words& changes = {}) {
  Words words = {"--from", "none", "--data", data, "--out", out, "--device", "cpu"};
  const Words common = {"model.embed_dim=24",
                        "model.depth=2",
                        "model.num_heads=3",
                        "model.image_size=[16]",
                        "model.patch_size=8",
                        "train.batch=16",
                        "train.epochs=2",
                        "train.precision=fp32",
                        "train.threads=1",
                        "schedule.warmup_epochs=0",
                        "augment.rand_augment=",
                        "data.workers=1",
                        "output.checkpoint_epochs=1"};
  for (const auto& change : common + changes) words = words + Words{"--set", change};
  return words;
}

// A program as a shell starts it, with `ending` behind the command ("2>&-").
Outcome in_shell(const std::string& name, const Words& words, const std::string& ending) {
  std::string command = "exec \"$0\" \"$@\" " + ending;
  return run_program("/bin/sh", Words{"-c", command, program(name)} + words);
}

}  // namespace

TEST_CASE("a rate at which nothing is learned ends a run in 1, with a line that says so",
          "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const Words broken = {"optimizer.base_lr=1e30", "optimizer.clip_grad=0"};
  const auto check = [&](const Outcome& outcome) {
    INFO(outcome.errors);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.error_lines().back(), ContainsSubstring("not finite"));
    CHECK_THAT(outcome.error_lines().back(), ContainsSubstring("optimizer.base_lr"));
    CHECK_THAT(outcome.errors, !ContainsSubstring("done after"));
    CHECK_THAT(read_whole_file(out + "/report.html"), ContainsSubstring("not finished"));
    fs::remove_all(out);
  };
  check(run_program(program("pretrain"), mae(out, 2, broken)));
  check(run_program(program("pretrain"), mae(out, 2, broken + Words{"train.max_bad_steps=1000"})));
  check(run_program(program("finetune"),
                    classifier("synthetic:shapes,size=16,count=160,val=20", out, broken)));
  Words tokenizer = {"--recipe",
                     std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/tokenizer.yaml",
                     "--data",
                     kScenes,
                     "--out",
                     out,
                     "--device",
                     "cpu"};
  const Words small = {"model.image_size=[16]",
                       "model.patch_size=8",
                       "train.epochs=2",
                       "train.batch=8",
                       "data.workers=1",
                       "train.threads=1",
                       "train.precision=fp32",
                       "schedule.warmup_epochs=0",
                       "output.preview_images=0",
                       "vqvae.network.width=16",
                       "vqvae.codebook.codes=16"};
  for (const auto& change : small + broken) tokenizer = tokenizer + Words{"--set", change};
  check(run_program(program("train_tokenizer"), tokenizer));
}

TEST_CASE("a second writer of a run folder is refused, and a killed one blocks nobody",
          "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  Program first(program("pretrain"), mae(out, 100'000));
  wait_until(first, [&] { return fs::exists(step_folder(out, 32)); });
  for (const auto& words : {mae(out, 100'000) + Words{"--resume"}, mae(out, 1)}) {
    const Outcome second = run_program(program("pretrain"), words);
    CHECK(second.code == 1);
    CHECK(second.error_lines().size() == 1);
    CHECK_THAT(second.errors,
               ContainsSubstring(out + ": process ") && ContainsSubstring("is writing to it"));
  }
  const Outcome tuned = run_program(program("finetune"), classifier(kScenes, out));
  CHECK(tuned.code == 1);
  CHECK_THAT(tuned.errors, ContainsSubstring("is writing to it"));
  // Who reads it is not blocked.
  const Words from_it = {"--from",
                         out,
                         "--data",
                         kScenes,
                         "--out",
                         temp.path() + "/classifier",
                         "--device",
                         "cpu",
                         "--set",
                         "train.epochs=1",
                         "--set",
                         "train.batch=16",
                         "--set",
                         "data.workers=1"};
  const Outcome reader = run_program(program("finetune"), from_it);
  INFO(reader.errors);
  CHECK(reader.code == 0);
  first.send(SIGKILL);
  REQUIRE(first.wait().code == 137);
  CHECK(run_program(program("pretrain"), mae(out, 1) + Words{"--resume"}).code == 0);
}

TEST_CASE("a terminal that goes away ends a run after it is saved, unless under nohup",
          "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  Program run(program("pretrain"), mae(out, 100'000), {.terminal = true});
  wait_until(run, [&] { return fs::exists(step_folder(out, 32)); });
  run.send(SIGHUP);
  run.send(SIGHUP);  // from the system and from the shell
  CHECK(run.wait().code == 129);
  CHECK(newest_checkpoint(out).meta.at("step") >= 32);

  Program ignoring("/bin/sh",
                   Words{"-c", "trap '' HUP; exec \"$0\" \"$@\"", program("pretrain")} +
                       mae(temp.path() + "/nohup", 8));
  wait_until(ignoring, [&] { return fs::exists(step_folder(temp.path() + "/nohup", 16)); });
  ignoring.send(SIGHUP);
  CHECK(ignoring.wait().code == 0);
}

TEST_CASE("closed or broken outputs change nothing of a run", "[programs]") {
  const TempFolder temp;
  const std::string whole = temp.path() + "/whole";
  REQUIRE(run_program(program("pretrain"), mae(whole, 2)).code == 0);
  const Checkpoint wanted = newest_checkpoint(whole);
  int number = 0;
  for (const std::string ending : {"2>&-", "<&- >&- 2>&-", "2>/dev/full >/dev/full"}) {
    INFO(ending);
    const std::string out = fmt::format("{}/{}", temp.path(), number++);
    CHECK(in_shell("pretrain", mae(out, 2), ending).code == 0);
    CHECK(same_checkpoint(newest_checkpoint(out), wanted));
  }
  // A reader that ends at once: every later line meets a broken pipe.
  const std::string out = temp.path() + "/pipe";
  run_program(
      "/bin/sh",
      Words{
          "-c", "(\"$0\" \"$@\"; echo $? >\"" + out + ".code\") 2>&1 | true", program("pretrain")} +
          mae(out, 2));
  while (!fs::exists(out + ".code") || fs::file_size(out + ".code") == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(read_whole_file(out + ".code") == "0\n");
  CHECK(same_checkpoint(newest_checkpoint(out), wanted));
  // A result that goes nowhere else is lost with its output.
  CHECK(in_shell("pretrain", kTinyMae + Words{"--print-recipe"}, ">&-").code == 1);
}

TEST_CASE("what compares images is refused before the first step where a batch has but one",
          "[programs]") {
  const TempFolder temp;
  Words dino = {"--recipe",
                std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/dino.yaml",
                "--data",
                "synthetic:shapes,size=16,count=9",
                "--out",
                temp.path() + "/run",
                "--device",
                "cpu"};
  for (const char* change : {"model.image_size=[16]",
                             "model.patch_size=4",
                             "model.embed_dim=24",
                             "model.depth=1",
                             "model.num_heads=2",
                             "dino.head.out_dim=32",
                             "dino.head.hidden_dim=16",
                             "dino.head.bottleneck_dim=8",
                             "augment.local.height=8",
                             "augment.local.width=8",
                             "train.batch=4",
                             "train.epochs=1",
                             "train.precision=fp32",
                             "schedule.warmup_epochs=0",
                             "knn.epochs=0",
                             "output.preview_images=0",
                             "dino.centering=center",
                             "train.drop_last=false"}) {
    dino = dino + Words{"--set", change};
  }
  const Outcome refused =
      run_program(program("pretrain"), dino + Words{"--set", "dino.koleo_weight=0.1"});
  CHECK(refused.code == 2);
  CHECK(refused.errors.find("--set dino.koleo_weight=0.1: dino.koleo_weight: needs 2 images") !=
        std::string::npos);
  CHECK_THAT(refused.errors, ContainsSubstring("the smallest batch of an epoch has 1"));
  CHECK_FALSE(fs::exists(temp.path() + "/run/metrics.jsonl"));
  CHECK(run_program(program("pretrain"), dino).code == 0);
}

TEST_CASE("a micro-batch that doesn't divide the batch is told", "[programs]") {
  const TempFolder temp;
  const auto told = [&](const std::string& name, const std::string& micro) {
    const Outcome outcome = run_program(
        program("pretrain"),
        mae(temp.path() + "/" + name, 1, {"train.batch=12", "train.micro_batch=" + micro}));
    CHECK(outcome.code == 0);
    return outcome.errors;
  };
  CHECK_THAT(told("a", "8"),
             ContainsSubstring("train.micro_batch: 8 does not divide train.batch 12; 6 is used"));
  CHECK_THAT(told("b", "4"), !ContainsSubstring("micro_batch"));
  CHECK_THAT(told("c", "24"), !ContainsSubstring("micro_batch"));
}

#ifdef PREVIT_WITH_IMAGE_IO
namespace {

void write_picture(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      << encode_png(torch::randint(256, {16, 16, 3}, torch::kUInt8));
}

}  // namespace

TEST_CASE("names that are no UTF-8 train, go on, evaluate and predict", "[programs]") {
  const TempFolder temp;
  const std::string latin = "caf\xE9", data = temp.path() + "/" + latin + "_data";
  const std::string out = temp.path() + "/" + latin + "_run";
  torch::manual_seed(3);
  for (const std::string split : {"train", "val"}) {
    for (int i = 0; i < 8; ++i) {
      write_picture(fmt::format("{}/{}/{}/{}{}.png", data, split, latin, latin, i));
      write_picture(fmt::format("{}/{}/dog/{}.png", data, split, i));
    }
  }
  const Words words = classifier(data, out);
  const Outcome trained = run_program(program("finetune"), words);
  INFO(trained.errors);
  REQUIRE(trained.code == 0);
  CHECK(is_utf8(read_whole_file(out + "/report.html")));
  CHECK(is_utf8(read_whole_file(out + "/recipe.yaml")));
  CHECK_THAT(read_whole_file(out + "/report.html"), ContainsSubstring("caf\\xE9"));
  CHECK(newest_checkpoint(out).backbone_metadata.at("class_names") == R"(["caf\\xE9","dog"])");

  const Outcome longer =
      run_program(program("finetune"), words + Words{"--resume", "--set", "train.epochs=3"});
  INFO(longer.errors);
  CHECK(longer.code == 0);
  CHECK_THAT(longer.errors, !ContainsSubstring("data.path"));  // it is the same
  CHECK(run_program(program("finetune"),
                    {"--from", out, "--data", data, "--eval-only", "--device", "cpu"})
            .code == 0);
  const Outcome predicted = run_program(
      program("predict"), {"--from", out, "--images", data + "/val", "--device", "cpu"});
  INFO(predicted.errors);
  CHECK(predicted.code == 0);
  CHECK(is_utf8(predicted.output));
  CHECK_THAT(predicted.output, ContainsSubstring("caf\\xE9/caf\\xE90.png,"));

  Words pretrain = kTinyMae + Words{"--data", data, "--out", out + "2", "--set", "train.epochs=1"};
  const Outcome pretrained = run_program(program("pretrain"), pretrain);
  INFO(pretrained.errors);
  CHECK(pretrained.code == 0);
  const Outcome by_set = run_program(
      program("pretrain"),
      kTinyMae +
          Words{"--set", "data.path=" + data, "--out", out + "3", "--set", "train.epochs=1"});
  CHECK(by_set.code == 0);
}

TEST_CASE("a recipe that is no UTF-8 is refused by its line, its name may be anything",
          "[programs]") {
  const TempFolder temp;
  const std::string recipe = temp.path() + "/caf\xE9.yaml";
  write_whole_file(recipe, "objective: mae\ndata:\n  path: caf\xE9\n");
  const Outcome refused = run_program(program("pretrain"), {"--recipe", recipe, "--device", "cpu"});
  CHECK(refused.code == 2);
  CHECK(refused.errors.starts_with(recipe + ":3: data.path: is no UTF-8"));
}

TEST_CASE("images that go, come and break while a run trains are left out and told once each",
          "[programs]") {
  const TempFolder temp;
  const std::string data = temp.path() + "/photos", out = temp.path() + "/run";
  for (int i = 0; i < 100; ++i) write_picture(fmt::format("{}/{:03}.png", data, i));
  Words words = kTinyMae + Words{"--data", data, "--out", out, "--set", "train.epochs=100000"};
  Program run(program("pretrain"), words);
  wait_until(run, [&] { return fs::exists(step_folder(out, 24)); });
  fs::remove(data + "/007.png");
  fs::resize_file(data + "/050.png", 30);
  write_picture(data + "/new.png");
  const auto log = [&] { return read_whole_file(out + "/log.txt"); };
  wait_until(run, [&] {
    return log().find("007.png") != std::string::npos && log().find("050.png") != std::string::npos;
  });
  run.send(SIGTERM);
  const Outcome stopped = run.wait();
  CHECK(stopped.code == 143);
  const auto at = stopped.errors.find("007.png");
  CHECK(stopped.errors.find("007.png", at + 1) == std::string::npos);
  // The folder's listing from before is not taken, and the run goes on: an image more or less
  // makes no other steps.
  fs::remove(data + "/008.png");
  const auto step = newest_checkpoint(out).meta.at("step").get<int64_t>();
  words.back() = fmt::format("train.epochs={}", step / 12 + 2);
  const Outcome resumed = run_program(program("pretrain"), words + Words{"--resume"});
  INFO(resumed.errors);
  CHECK(resumed.code == 0);
  CHECK_THAT(resumed.errors, ContainsSubstring("the data has 99 images and had 100"));
}
#endif
