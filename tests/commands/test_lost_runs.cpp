// What must not lose a run, as a user meets it: rates that break it, a second writer, a terminal
// that goes away, images that change.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "files.h"
#include "support/catch.h"
#include "support/finetune_command.h"
#include "support/noise_png.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

Words mae(const std::string& out, int64_t epochs, const Words& changes = {}) {
  return kTinyMae + Words{"--data", kScenes, "--out", out} +
         settings({fmt::format("train.epochs={}", epochs)}) + settings(changes);
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
                    from_scratch("synthetic:shapes,size=16,count=160,val=20", out) +
                        Words{"--device", "cpu"} +
                        settings(broken + Words{"train.precision=fp32", "train.threads=1"})));
  const Words tokenizer = {"--recipe",
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
  check(run_program(program("train_tokenizer"), tokenizer + settings(small + broken)));
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
  const Outcome tuned = run_program(program("finetune"), from_scratch(kScenes, out));
  CHECK(tuned.code == 1);
  CHECK_THAT(tuned.errors, ContainsSubstring("is writing to it"));
  // Who reads it is not blocked.
  const Words from_it = {
      "--from", out, "--data", kScenes, "--out", temp.path() + "/classifier", "--device", "cpu"};
  const Outcome reader =
      run_program(program("finetune"),
                  from_it + settings({"train.epochs=1", "train.batch=16", "data.workers=1"}));
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

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("images that go, come and break while a run trains are left out and told once each",
          "[programs]") {
  const TempFolder temp;
  const std::string data = temp.path() + "/photos", out = temp.path() + "/run";
  for (int i = 0; i < 100; ++i) write_noise_png(fmt::format("{}/{:03}.png", data, i));
  Words words = kTinyMae + Words{"--data", data, "--out", out, "--set", "train.epochs=100000"};
  Program run(program("pretrain"), words);
  wait_until(run, [&] { return fs::exists(step_folder(out, 24)); });
  fs::remove(data + "/007.png");
  fs::resize_file(data + "/050.png", 30);
  write_noise_png(data + "/new.png");
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
