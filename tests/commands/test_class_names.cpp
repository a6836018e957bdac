// Wherever a classifier meets data, its classes are those of the same name.
#ifdef PREVIT_WITH_IMAGE_IO
#include <cmath>
#include <filesystem>

#include "augment/dataset/relabel.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "finetune/model.h"
#include "models/weights/checkpoint.h"
#include "support/catch.h"
#include "support/class_folders.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace fs = std::filesystem;

namespace {

// Learns four colours well, but not perfectly.
const Words kColorRun = kTiny + Words{"--set",
                                      "finetune.mixup=0",
                                      "--set",
                                      "finetune.cutmix=0",
                                      "--set",
                                      "optimizer.base_lr=0.01",
                                      "--set",
                                      "train.batch=8",
                                      "--set",
                                      "output.checkpoint_epochs=1"};
const Words kShuffled = {"white", "blue", "red", "green"};  // kColors' in another order
const std::vector<int64_t> kOrder = {3, 0, 2, 1};

struct Fixture {
  TempFolder temp;
  std::string data = temp.path() + "/data", run = temp.path() + "/run";

  explicit Fixture(bool trained = true) {
    write_classes(data + "/train", kColors, 8, 1);
    write_classes(data + "/val", kColors, 5, 2);
    if (trained) train(run, {"--from", "none"});
  }

  void train(const std::string& out, const Words& words) const {
    REQUIRE(finetune(Words{"--data", data, "--out", out} + kColorRun + words) == 0);
  }
  nlohmann::json evaluated(const std::string& from, const std::string& on) const {
    const std::string out = temp.path() + "/evaluated";
    REQUIRE(finetune({"--from", from, "--data", on, "--eval-only", "--out", out}) == 0);
    return result_in(out);
  }
  std::string refusal(const Words& words) const {
    try {
      finetune(words + Words{"--out", temp.path() + "/refused"});
    } catch (const Error& error) {
      CHECK_THAT(error.what(), !ContainsSubstring("\n"));
      return error.what();
    }
    return "";
  }
  // The run's model with other names, and with the classes in the order given.
  std::string model(const std::string& name,
                    const Words& class_names,
                    const std::vector<int64_t>& order = {0, 1, 2, 3}) const {
    LoadedModel loaded = load_model(run);
    keep_classes(loaded, order);
    loaded.class_names = class_names;
    return write_model(temp.path() + "/" + name + ".safetensors", loaded);
  }
};

bool same(const nlohmann::json& a, const nlohmann::json& b) {
  return a["top1"] == b["top1"] && a["images"] == b["images"] &&
         std::abs(a["loss"].get<double>() - b["loss"].get<double>()) < 1e-5;
}

}  // namespace

TEST_CASE("a classifier is scored by the names of its classes") {
  const Fixture f;
  const auto plain = f.evaluated(f.run, f.data);
  REQUIRE(plain["top1"] >= 75);
  CHECK(plain["images"] == 20);
  CHECK(same(f.evaluated(f.model("shuffled", kShuffled, kOrder), f.data), plain));

  SECTION("on the classes that the data has") {
    const std::string part = f.temp.path() + "/part";
    write_classes(part, {kColors[0], kColors[2], kColors[3]}, 6, 3);
    const auto scored = f.evaluated(f.run, part);
    CHECK(scored["images"] == 18);  // nothing is held out
    CHECK(scored["top1"] >= 75);
    write_classes(f.temp.path() + "/one", {kColors[2]}, 1, 3);
    CHECK(f.evaluated(f.run, f.temp.path() + "/one")["images"] == 1);
  }
  SECTION("an unknown class is named before anything is computed") {
    const std::string other = f.temp.path() + "/other";
    write_classes(other, {{"blue"}, {"greens"}, {"red"}, {"white"}}, 2);
    CHECK(f.refusal({"--from", f.run, "--data", other, "--eval-only"}) ==
          other + ": " + f.run +
              " knows no class greens (is it green?); it knows blue, green, red, white");
  }
  SECTION("a class that only training has may be unknown") {
    write_classes(f.data + "/train", {{"amber", 220, 180, 20}}, 3);
    CHECK(same(f.evaluated(f.run, f.data), plain));
    write_classes(f.data + "/val", {{"amber", 220, 180, 20}}, 3);
    CHECK_THAT(f.refusal({"--from", f.run, "--data", f.data, "--eval-only"}),
               ContainsSubstring("knows no class amber"));
  }
  SECTION("one without names by position, if there are as many") {
    CHECK(same(f.evaluated(f.model("nameless", {}), f.data), plain));
    CHECK(same(f.evaluated(f.model("labels", {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"}), f.data),
               plain));
    const std::string part = f.temp.path() + "/part";
    write_classes(part, {kColors[0], kColors[2]}, 2);
    CHECK_THAT(
        f.refusal({"--from", f.model("few", {"0", "1", "2", "3"}), "--data", part, "--eval-only"}),
        ContainsSubstring("its 4 classes have no names, only places, but " + part + " has 2"));
  }
}

TEST_CASE("training that goes on with a head keeps its classes") {
  const Fixture f;
  const std::string shuffled = f.model("shuffled", kShuffled, kOrder), out = f.temp.path() + "/on";
  const Words keep = {"--set", "finetune.keep_head=true", "--set", "optimizer.base_lr=0"};
  f.train(out, Words{"--from", shuffled} + keep);
  CHECK(load_model(out).class_names == kShuffled);
  CHECK(result_in(out)["top1"] == f.evaluated(f.run, f.data)["top1"]);
  CHECK_THAT(read_whole_file(out + "/report.html"), ContainsSubstring("white"));

  fs::remove_all(f.data + "/train/green");
  fs::remove_all(f.data + "/val/green");
  f.train(out + "2", Words{"--from", shuffled} + keep);
  CHECK(load_model(out + "2").class_names == kShuffled);
  CHECK(result_in(out + "2")["images"] == 15);
  f.train(out + "3", Words{"--from", f.run});  // a new head
  CHECK(load_model(out + "3").class_names == Words{"blue", "red", "white"});

  for (const char* split : {"/train", "/val"}) write_classes(f.data + split, {{"grean"}}, 4);
  CHECK_THAT(f.refusal(Words{"--from", f.run, "--data", f.data} + keep),
             ContainsSubstring("knows no class grean (is it green?)") &&
                 ContainsSubstring("finetune.keep_head: false starts a new head"));
}

TEST_CASE("a teacher teaches the classes of the same name") {
  const Fixture f;
  const auto taught_by = [&](const std::string& teacher, const std::string& out) {
    f.train(f.temp.path() + out,
            {"--from",
             "none",
             "--set",
             "model.dist_token=true",
             "--set",
             "model.pool=cls",
             "--set",
             "distillation.kind=soft",
             "--set",
             "distillation.teacher=" + teacher});
    return load_model(f.temp.path() + out).weights;
  };
  const auto equal = [](const NamedTensors& a, const NamedTensors& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
      return x.first == y.first && torch::equal(x.second, y.second);
    });
  };
  const NamedTensors plain = taught_by(f.run, "/plain");
  CHECK(equal(taught_by(f.model("shuffled", kShuffled, kOrder), "/shuffled"), plain));
  CHECK_FALSE(equal(
      taught_by(f.model("wrong", {"blue", "green", "red", "white"}, kOrder), "/wrong"), plain));

  for (const char* split : {"/train", "/val"}) fs::remove_all(f.data + split + "/green");
  CHECK(equal(taught_by(f.run, "/of_four"),
              taught_by(f.model("three", {"red", "blue", "white"}, {2, 0, 3}), "/of_three")));
  CHECK_THAT(f.refusal(Words{"--from", "none", "--data", f.data} + kColorRun +
                       Words{"--set",
                             "model.dist_token=true",
                             "--set",
                             "model.pool=cls",
                             "--set",
                             "distillation.kind=hard",
                             "--set",
                             "distillation.teacher=" + f.model("two", {"red", "white"}, {2, 3})}),
             ContainsSubstring("knows no class blue"));
}

TEST_CASE("a run is not resumed on other classes") {
  const Fixture f;
  for (const char* split : {"/train", "/val"}) {
    fs::rename(f.data + split + "/blue", f.data + split + "/zebra");
  }
  const Words words = Words{"--from", "none", "--data", f.data} + kColorRun +
                      Words{"--set", "train.epochs=3", "--resume", "--out", f.run};
  CHECK_THROWS_MATCHES(
      finetune(words),
      UsageError,
      Catch::Message(
          "--resume: the data's classes are others than in the run; not there now: blue; "
          "new: zebra; give the run's data, or start another run with --out"));
  for (const char* split : {"/train", "/val"}) {
    fs::rename(f.data + split + "/zebra", f.data + split + "/blue");
  }
  CHECK(finetune(words) == 0);
}

// The result of a run on an undivided folder.
static nlohmann::json quarter_held_out(const std::string& folder, const std::string& out) {
  const Words train = Words{"--from", "none", "--data", folder, "--out", out} + kColorRun +
                      Words{"--set", "finetune.holdout=0.25", "--set", "train.seed=5"};
  REQUIRE(finetune(train) == 0);
  return result_in(out);
}

TEST_CASE("a run is evaluated on what it held out of its own folder, and on all of others") {
  const Fixture f(false);
  const std::string folder = f.data + "/train", out = f.temp.path() + "/run";
  const auto trained = quarter_held_out(folder, out);
  CHECK(trained["images"] == 8);
  CHECK(same(f.evaluated(out, folder), trained));
  CHECK(same(f.evaluated(out + "/../run/", folder + "/."), trained));
  CHECK(f.evaluated(out + "/best", folder)["images"] == 8);
  CHECK(f.evaluated(list_checkpoints(out).front() + "/backbone.safetensors", folder)["images"] ==
        8);
  REQUIRE(finetune({"--from",
                    out,
                    "--eval-only",
                    "--out",
                    f.temp.path() + "/again",
                    "--set",
                    "train.seed=0",
                    "--set",
                    "finetune.holdout=0.5"}) == 0);
  CHECK(same(result_in(f.temp.path() + "/again"), trained));
  CHECK(f.evaluated(out, f.data + "/val")["images"] == 20);
}

TEST_CASE("what a run held out is remembered when its folder changes") {
  const Fixture f(false);
  const std::string folder = f.data + "/train", out = f.temp.path() + "/run";
  const auto trained = quarter_held_out(folder, out);
  REQUIRE(trained["images"] == 8);
  for (const char* name :
       {"blue", "green", "red", "white"}) {  // the order and the number are others
    const fs::path one = folder + "/" + name + "/0.png";
    fs::copy(one, one.parent_path() / "00.png");
  }
  CHECK(same(f.evaluated(out, folder), trained));
  for (const char* name : {"blue", "green", "red", "white"}) {
    fs::remove(folder + "/" + name + "/00.png");
  }
  fs::remove_all(folder + "/blue");  // the numbers of the classes are others
  CHECK(f.evaluated(out, folder)["images"] == 6);
  fs::remove_all(folder);
  write_classes(folder, {{"green"}, {"red"}}, 1);
  fs::rename(folder + "/green/0.png", folder + "/green/new.png");
  fs::rename(folder + "/red/0.png", folder + "/red/new.png");
  CHECK_THAT(f.refusal({"--from", out, "--data", folder, "--eval-only"}),
             ContainsSubstring("none of the 8 images is there that the run held out"));
}

TEST_CASE("a run is not resumed on a folder that would hold out other images") {
  const Fixture f(false);
  const std::string folder = f.data + "/train", out = f.temp.path() + "/run";
  const Words train = Words{"--from", "none", "--data", folder, "--out", out} + kColorRun;
  REQUIRE(finetune(train) == 0);
  const Words more = train + Words{"--set", "train.epochs=3", "--resume"};
  const auto names = nlohmann::json::parse(read_whole_file(out + "/held_out.json"));
  REQUIRE(names.size() == 4);
  const fs::path held_out = folder + "/" + names.front().get<std::string>();
  const fs::path renamed = held_out.parent_path() / "renamed.png";
  fs::rename(held_out, renamed);  // as many as before
  CHECK_THROWS_AS(finetune(more), UsageError);
  fs::rename(renamed, held_out);
  CHECK(finetune(more) == 0);
}

TEST_CASE("labels are renumbered, samples are as they were") {
  const auto images = open_dataset("synthetic:shapes,size=16,count=30,val=0", Split::train);
  std::vector<int64_t> numbers(images->class_names().size());
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = std::ssize(numbers) - static_cast<int64_t>(i);
  const auto other = relabel(images, numbers, {"x", "y"});
  CHECK(other->class_names() == Words{"x", "y"});
  CHECK(other->size() == 30);
  for (int64_t i = 0; i < 30; ++i) {
    CHECK(other->label(i) == numbers[static_cast<size_t>(images->label(i))]);
    CHECK(other->name(i) == images->name(i));
  }
}
#endif
