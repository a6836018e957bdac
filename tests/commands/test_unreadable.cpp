// Images that can't be read are left out of a score and counted; too many end what only scores, and
// never a training.
#ifdef PREVIT_WITH_IMAGE_IO
#include <filesystem>
#include <fstream>
#include <new>
#include <sstream>

#include "commands/embed.h"
#include "commands/knn_probe.h"
#include "commands/linear_probe.h"
#include "error.h"
#include "failure.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/class_folders.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kTooMany = "images are unreadable, more than data.max_bad_fraction";

struct Folder {
  TempFolder temp;
  std::string data = temp.path() + "/data";

  // 40 to train on, 20 to score, `bad` of which are no images.
  explicit Folder(int bad) {
    write_classes(data + "/train", kColors, 10, 1);
    write_classes(data + "/val", kColors, 5, 2);
    for (int i = 0; i < bad; ++i) {
      std::ofstream(data + "/val/" + kColors[static_cast<size_t>(i % 4)].name + "/" +
                    std::to_string(i / 4) + ".png")
          << "broken";
    }
  }
};

std::vector<nlohmann::json> metrics(const std::string& run) {
  std::istringstream lines(read_whole_file(run + "/metrics.jsonl"));
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("an unreadable validation image is left out and counted") {
  const Folder f(1);
  const std::string out = f.temp.path() + "/run", eval = f.temp.path() + "/eval";
  REQUIRE(finetune(Words{"--from", "none", "--data", f.data, "--out", out} + kTiny) == 0);
  CHECK(result_in(out)["images"] == 19);
  CHECK(result_in(out)["unreadable"] == 1);
  REQUIRE(finetune({"--from", out, "--eval-only", "--out", eval}) == 0);
  CHECK(result_in(eval)["images"] == 19);
  CHECK(result_in(eval)["unreadable"] == 1);
  CHECK(result_in(eval)["top1"] == result_in(out)["top1"]);
}

TEST_CASE("an evaluation that fails doesn't end a training") {
  const int bad = GENERATE(3, 20);  // too many; all
  const Folder f(bad);
  const std::string out = f.temp.path() + "/run";
  REQUIRE(finetune(Words{"--from", "none", "--data", f.data, "--out", out} + kTiny) == 0);
  const auto result = result_in(out);
  CHECK_FALSE(result.contains("top1"));
  CHECK_FALSE(result.contains("best_top1"));
  CHECK_THAT(result["not_evaluated"].get<std::string>(),
             ContainsSubstring(bad == 20 ? "no image of 20 in a row is readable" : kTooMany));
  CHECK_FALSE(std::filesystem::exists(out + "/best"));
  const auto lines = metrics(out);
  REQUIRE_FALSE(lines.empty());
  CHECK(lines.back()["epoch"] == 2);
  CHECK_FALSE(lines.back().contains("top1"));

  const Words eval = {"--from", out, "--eval-only", "--out", f.temp.path() + "/eval"};
  CHECK_THROWS_AS(finetune(eval), Error);
  if (bad == 20) return;
  REQUIRE(finetune(eval + Words{"--set", "data.max_bad_fraction=0.2"}) == 0);
  CHECK(result_in(f.temp.path() + "/eval")["unreadable"] == 3);
}

TEST_CASE("what a score can throw is one line") {
  CHECK(failure_of([] {}).empty());
  CHECK(failure_of([] { fail("place: why"); }) == "place: why");
  CHECK_THAT(failure_of([] { throw std::bad_alloc(); }), ContainsSubstring("bad_alloc"));
  const std::string why = failure_of([] { torch::zeros({2}).index_select(0, torch::tensor({7})); });
  CHECK_FALSE(why.empty());
  CHECK_THAT(why, !ContainsSubstring("\n"));
}

TEST_CASE("probes and embed leave unreadable images out, up to the share that training takes") {
  const Folder one(1), many(3);
  const std::string from = tiny_checkpoint(one.temp.path()), out = one.temp.path() + "/out";
  const auto check = [&](const auto& tool, const char* images) {
    const auto words = [&](const Folder& f) {
      return Words{"--from", from, images, f.data, "--workers", "1"};
    };
    CHECK(tool(words(one)) == 1);
    CHECK_THROWS_WITH(tool(words(many) + Words{"--set", "data.max_bad_fraction=0.04"}),
                      ContainsSubstring(kTooMany));
    CHECK(tool(words(many) + Words{"--set", "data.max_bad_fraction=0.5"}) == 3);
    CHECK_THROWS_AS(tool(words(one) + Words{"--set", "data.max_bad_fraction=2"}), UsageError);
    CHECK_THROWS_AS(tool(words(one) + Words{"--set", "data.max_bad_fractoin=0.2"}), UsageError);
  };
  const auto left_out = [&](const auto& options, const auto& program, const Words& more) {
    return [=, &out](const Words& words) {
      const int code = call(options, program, words + Words{"--out", out} + more);
      REQUIRE(code == 0);
      return result_in(out).value("unreadable", 0);
    };
  };
  check(left_out(cli::knn_probe_options(), cli::knn_probe, {"--k", "3"}), "--data");
  check(left_out(cli::linear_probe_options(), cli::linear_probe, {"--set", "epochs=1"}), "--data");
}

TEST_CASE("embed counts the images that it leaves out") {
  const Folder many(3);
  const std::string from = tiny_checkpoint(many.temp.path()), out = many.temp.path() + "/out.h5";
  const Words words = {
      "--from", from, "--images", many.data + "/val", "--out", out, "--workers", "1"};
  const auto run = [&](const Words& more) {
    return call(cli::embed_options(), cli::embed, words + more);
  };
  CHECK_THROWS_WITH(run({}), ContainsSubstring(kTooMany));
  CHECK(run({"--set", "data.max_bad_fraction=0.2"}) == 0);
}
#endif
