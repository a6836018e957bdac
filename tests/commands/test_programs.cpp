// The programs as a user starts them: exit codes, what stderr says, signals, full disks, damage.
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "error.h"
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

// The command line of a small MAE run.
Words mae(const std::string& out, int64_t epochs, const std::string& data = kScenes) {
  const std::string length = fmt::format("train.epochs={}", epochs);
  return kTinyMae + Words{"--data", data, "--out", out, "--set", length};
}

Outcome pretrained(const Words& words, const Surroundings& surroundings = {}) {
  return run_program(program("pretrain"), words, surroundings);
}

bool has_checkpoint(const std::string& run, int64_t step) {
  return fs::exists(step_folder(run, step));
}

bool saves(const std::string& run) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints", error)) {
    if (entry.path().filename().string().starts_with(".tmp_")) return true;
  }
  return false;
}

void flip_bit(const fs::path& path) {
  std::string bytes = read_whole_file(path);
  bytes[bytes.size() / 2] ^= 4;
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("a recipe that is wrong ends in 2, with one line that says where and what",
          "[programs]") {
  const TempFolder temp;
  const std::string recipe = temp.path() + "/r.yaml", out = temp.path() + "/run";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"mae:\n  mask_ratoi: 0.5\n", ":2: mae.mask_ratoi: unknown key; did you mean mask_ratio?"},
      {"mae: {mask_ratio: many}\n", ":1: mae.mask_ratio: many is not a number"},
      {"\nmae:\n  mask_ratio: 1.5\n", ":3: mae.mask_ratio: 1.5 is not in (0, 1)"},
      {"augment:\n  scale: [0.5]\n",
       ":2: augment.scale: [0.5] is not the lowest and the highest, like [0.5, 1]"},
      {"model:\n  depth: 2\n  embed_dim: 25\n",
       ":3: model.embed_dim: 25 is not a multiple of num_heads 12"},
      {"train: [\n", ":2: "}};
  for (const auto& [text, message] : cases) {
    write_whole_file(recipe, text);
    const Outcome outcome = pretrained({"--recipe", recipe, "--out", out, "--device", "cpu"});
    INFO(outcome.errors);
    CHECK(outcome.code == 2);
    CHECK(outcome.error_lines().size() == 1);
    CHECK(outcome.errors.starts_with(recipe + message));
    CHECK(outcome.output.empty());
  }
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("wrong usage ends in 2 and what isn't there in 1, with one line", "[programs]") {
  const TempFolder temp;
  const std::string gone = temp.path() + "/gone", out = temp.path() + "/run";
  struct Case {
    std::string tool;
    Words words;
    int code;
    std::string begins;
  };
  const std::vector<Case> cases = {
      {"pretrain", {"--recipe", gone}, 2, gone + ": no such recipe"},
      {"pretrain", {"--dataa", gone}, 2, "--dataa: unknown option; did you mean --data?"},
      {"pretrain", {}, 2, "--recipe: must be given, or --data for one that fits the images; "},
      {"train_tokenizer", {}, 2, "--recipe: must be given; --help says more"},
      {"pretrain", mae(out, 1, gone), 1, gone + ": there is no such file or folder"},
      {"finetune", {"--from", gone, "--data", kScenes}, 1, gone + ": no such file or folder; "},
      {"finetune", {"--from", "none"}, 2, "--data: say which images to train on"},
      {"predict", {"--from", gone, "--images", kScenes}, 1, gone + ": no such file or folder; "},
      {"predict",
       {"--from", gone, "--images", gone, "--top", "0"},
       2,
       "--top: 0 is not at least 1"}};
  for (const Case& wanted : cases) {
    const Outcome outcome = run_program(program(wanted.tool), wanted.words);
    INFO(wanted.tool << " " << fmt::format("{}", fmt::join(wanted.words, " ")));
    INFO(outcome.errors);
    CHECK(outcome.code == wanted.code);
    CHECK(outcome.error_lines().size() == 1);
    CHECK(outcome.errors.starts_with(wanted.begins));
    CHECK(outcome.output.empty());
  }
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("only PREVIT_DEBUG shows where in LibTorch a failure came from", "[programs]") {
  const TempFolder temp;
  // Terabytes.
  const Words words = mae(temp.path() + "/run", 1) + Words{"--set", "model.mlp_ratio=1e10"};
  const Outcome plain = pretrained(words);
  CHECK(plain.code == 1);
  CHECK(plain.error_lines().size() == 1);
  CHECK(plain.errors.starts_with("memory: the system gives no "));
  CHECK(plain.errors.ends_with("MB more; a smaller train.micro_batch or model needs less\n"));
  const Outcome traced = pretrained(words, {.environment = {{"PREVIT_DEBUG", "1"}}});
  CHECK(traced.code == 1);
  CHECK(traced.error_lines().size() > 1);
}

TEST_CASE("a result that can't be written is a failure", "[programs]") {
  const Outcome outcome = pretrained(kTinyMae + Words{"--print-recipe"}, {.output = "/dev/full"});
  CHECK(outcome.code == 1);
  CHECK(outcome.errors == "stdout: No space left on device\n");
}

#ifdef PREVIT_WITH_IMAGE_IO
namespace {

// What a run's metrics say after each whole epoch.
std::vector<double> bad_samples(const std::string& run) {
  std::vector<double> counts;
  std::istringstream lines(read_whole_file(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto values = nlohmann::json::parse(line);
    const auto epoch = values.at("epoch").get<double>();
    if (epoch == std::floor(epoch)) counts.push_back(values.value("bad_samples", 0.0));
  }
  return counts;
}

}  // namespace

TEST_CASE("a run goes on past unreadable images and says which; colours are a terminal's",
          "[programs]") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos";
  for (int i = 0; i < 32; ++i) write_noise_png(fmt::format("{}/{:02}.png", photos, i));
  write_whole_file(photos + "/05.png", "not an image");
  const auto words = [&](const std::string& out) { return mae(out, 1, photos); };
  const std::string out = temp.path() + "/run";
  const Outcome shown = pretrained(words(out), {.terminal = true});
  CHECK(shown.code == 0);
  CHECK_THAT(shown.errors, ContainsSubstring("\033[33mwarning:\033[0m 05.png: "));
  CHECK_THAT(read_whole_file(out + "/log.txt"), ContainsSubstring("warning: 05.png: "));
  CHECK(bad_samples(out) == std::vector<double>{1});
  CHECK_THAT(read_whole_file(out + "/report.html"), ContainsSubstring("unreadable images"));

  const Outcome plain = pretrained(words(temp.path() + "/plain"),
                                   {.environment = {{"NO_COLOR", "1"}}, .terminal = true});
  CHECK(plain.code == 0);
  CHECK_THAT(plain.errors, ContainsSubstring("warning: 05.png: "));
  CHECK_THAT(plain.errors, !ContainsSubstring("\033[33m"));

  for (int i = 6; i < 12; ++i) write_whole_file(fmt::format("{}/{:02}.png", photos, i), "");
  const Outcome failed = pretrained(words(temp.path() + "/failed"));
  CHECK(failed.code == 1);
  CHECK_THAT(failed.error_lines().back(),
             ContainsSubstring("images are unreadable, more than data.max_bad_fraction 0.1"));
}

TEST_CASE("an unreadable image is counted once, with pictures, more epochs and a resume",
          "[programs]") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos", out = temp.path() + "/run";
  for (int i = 0; i < 7; ++i) write_noise_png(fmt::format("{}/{:02}.png", photos, i));
  write_whole_file(photos + "/07.png", "not an image");
  const Words more = settings({"data.max_bad_fraction=0.5", "output.preview_images=2"});
  REQUIRE(pretrained(mae(out, 2, photos) + more).code == 0);
  CHECK(bad_samples(out) == std::vector<double>{1, 1});
  REQUIRE(pretrained(mae(out, 4, photos) + more + Words{"--resume"}).code == 0);
  CHECK(bad_samples(out) == std::vector<double>{1, 1, 1, 1});
}
#endif

TEST_CASE("a full disk ends a run with one line; the checkpoint before is whole", "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  REQUIRE(pretrained(mae(out, 1)).code == 0);
  const Checkpoint before = newest_checkpoint(out);
  const Words longer = mae(out, 2) + Words{"--resume"};
  const Outcome full = pretrained(longer, {.largest_file = 20'000});
  INFO(full.errors);
  CHECK(full.code == 1);
  CHECK_THAT(full.error_lines().back(), ContainsSubstring("/checkpoints/step_00000032: not saved"));
  CHECK_FALSE(saves(out));
  std::vector<std::string> warnings;
  CHECK(same_checkpoint(load_latest(out, warnings), before));
  CHECK(warnings.empty());
  CHECK(pretrained(longer).code == 0);
}

TEST_CASE("SIGTERM and SIGINT end a run after it is saved", "[programs]") {
  for (const auto& [signal, code] : {std::pair(SIGTERM, 143), std::pair(SIGINT, 130)}) {
    const TempFolder temp;
    const std::string out = temp.path() + "/run";
    Program run(program("pretrain"), mae(out, 100'000));
    wait_until(run, [&] { return has_checkpoint(out, 32); });
    run.send(signal);
    const Outcome outcome = run.wait();
    CHECK(outcome.code == code);
    CHECK_THAT(outcome.error_lines().back(), ContainsSubstring("stopped and saved after step"));
    CHECK(newest_checkpoint(out).meta.at("step") >= 32);
  }
}

TEST_CASE("a killed run, and one whose newest checkpoint is damaged, end as an undisturbed one",
          "[programs]") {
  const TempFolder temp;
  const std::string whole = temp.path() + "/whole", killed = temp.path() + "/killed";
  REQUIRE(pretrained(mae(whole, 20)).code == 0);
  const Checkpoint wanted = newest_checkpoint(whole);
  REQUIRE(wanted.meta.at("step") == 320);

  // Before its first checkpoint, between two, and while it saves one.
  const std::vector<std::function<bool()>> moments = {
      [&] { return fs::exists(killed + "/metrics.jsonl"); },
      [&] { return has_checkpoint(killed, 48); },
      [&] { return has_checkpoint(killed, 96) && saves(killed); }};
  const Words going_on = mae(killed, 20) + Words{"--resume"};
  for (const auto& moment : moments) {
    Program run(program("pretrain"), going_on);
    wait_until(run, moment);
    run.send(SIGKILL);
    REQUIRE(run.wait().code == 137);
  }
  REQUIRE(pretrained(going_on).code == 0);
  CHECK(same_checkpoint(newest_checkpoint(killed), wanted));

  for (const std::string damage : {"cut short", "one bit turned"}) {
    INFO(damage);
    const fs::path newest = fs::path(list_checkpoints(killed).front()) / "training.safetensors";
    if (damage == "cut short") {
      fs::resize_file(newest, fs::file_size(newest) - 7);
    } else {
      flip_bit(newest);
    }
    const Outcome outcome = pretrained(going_on);
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.errors,
               ContainsSubstring("warning: " + newest.string() + ": damaged: ") &&
                   ContainsSubstring("the checkpoint before is used") &&
                   ContainsSubstring("going on after step 304 of 320"));
    CHECK(same_checkpoint(newest_checkpoint(killed), wanted));
  }
}

TEST_CASE("from unlabelled images to named classes: pretrain, finetune, predict", "[programs]") {
  const TempFolder temp;
  const std::string backbone = temp.path() + "/mae", classifier = temp.path() + "/classifier";
  REQUIRE(pretrained(mae(backbone, 2)).code == 0);

  const Words finetune =
      Words{"--from", backbone, "--data", kScenes, "--out", classifier, "--device", "cpu"} +
      settings({"train.epochs=2",
                "train.batch=16",
                "train.threads=1",
                "augment.rand_augment=",
                "data.workers=1"});
  const Outcome tuned = run_program(program("finetune"), finetune);
  INFO(tuned.errors);
  REQUIRE(tuned.code == 0);
  const auto result = nlohmann::json::parse(tuned.output);
  CHECK(result == result_in(classifier));
  CHECK(result["images"] == 20);
  CHECK(newest_checkpoint(classifier).backbone_metadata.contains("class_names"));

  const Words predict = {
      "--from", classifier, "--images", kScenes, "--top", "2", "--device", "cpu"};
  const Outcome predicted = run_program(program("predict"), predict);
  INFO(predicted.errors);
  CHECK(predicted.code == 0);
  CHECK(std::count(predicted.output.begin(), predicted.output.end(), '\n') == 1 + 2 * 148);
  CHECK_THAT(predicted.output, ContainsSubstring("path,class,probability,error\n"));

  const Surroundings full_disk{.output = "/dev/full"};
  const Outcome unwritten = run_program(program("predict"), predict, full_disk);
  CHECK(unwritten.code == 1);
  CHECK(unwritten.errors == "stdout: No space left on device\n");
}
