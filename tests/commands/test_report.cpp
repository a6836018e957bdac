// The program `report`, on run folders made by hand and on one that was trained.
#include <filesystem>

#include "commands/report.h"
#include "commands/run_folder.h"
#include "error.h"
#include "files.h"
#include "run_lock.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

const std::string kMetrics =
    "{\"step\":10,\"epoch\":1,\"loss\":0.5,\"images_per_second\":20}\n"
    "{\"step\":20,\"epoch\":2,\"loss\":0.25,\"knn_top1\":40}\n";
const std::string kMae = "objective: mae\nmodel: {arch: vit_tiny}\ntrain: {epochs: 4}\n";

void make_run(const std::string& folder, const std::string& recipe, const std::string& metrics) {
  make_folder(folder);
  write_whole_file(folder + "/recipe.yaml", recipe);
  write_whole_file(folder + "/metrics.jsonl", metrics);
}

int report(const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words)
                     .options(cli::report_options())
                     .positional(cli::report_words())
                     .run(),
                 args);
  cli::po::notify(args);
  return cli::report(args);
}

}  // namespace

TEST_CASE("report --compare writes one page of several run folders") {
  const TempFolder temp;
  const std::string a = temp.path() + "/a <&\">/run", b = temp.path() + "/b/run",
                    page = temp.path() + "/page.html";
  make_run(a, kMae, kMetrics + "{\"step\":30,\"ep\n");
  // A key that the other recipe lacks is compared by its value.
  make_run(b, kMae + "mae: {mask_ratio: 0.75}\noptimizer: {base_lr: 0.003}\n", kMetrics);
  make_folder(b + "/checkpoints/step_00000020");
  write_whole_file(
      b + "/checkpoints/step_00000020/meta.json",
      R"({"meta": {"samples": 640, "seconds": 90, "processor_seconds": 150, "machine": "M"}})");
  make_folder(a + "/linear");
  write_whole_file(a + "/linear/result.json", R"({"top1": 61.5, "protocol": "dino"})");
  make_folder(a + "/knn");
  write_whole_file(a + "/knn/result.json", R"({"top1": 45, "leave_one_out": false})");
  make_folder(a + "/attention");
  write_whole_file(a + "/attention/result.json", R"({"jaccard": 0.4})");
  make_folder(b + "/tuned");
  write_whole_file(b + "/tuned/result.json", R"({"top1": 70, "loss": 1})");

  REQUIRE(report({"--compare", a, b, "--to", page}) == 0);
  const std::string html = read_whole_file(page);
  const std::string name = "a &lt;&amp;&quot;&gt;/run";
  const std::string network =
      "mae</td><td>vit_tiny, 12 blocks of 192, 224 px in patches of 16</td>";
  for (const std::string& part : std::vector<std::string>{
           name + "</td><td>" + network + "<td>–</td><td>2 of 4</td><td>–</td><td>–</td><td>–</td>",
           "b/run</td><td>" + network +
               "<td>640</td><td>2 of 4</td><td>1 min 30 s</td>"
               "<td>2 min 30 s</td><td>M</td>",
           name + ": 1 lines of metrics.jsonl",
           "<th>last loss</th><th>best kNN</th><th>best top-1</th><th>linear probe</th>",
           name + "</td><td>0.2500 ★</td><td>45.00 % ★</td><td>–</td><td>61.50 %</td>",
           "b/run</td><td>0.2500 ★</td><td>40.00 %</td><td>70.00 %</td><td>–</td>",
           "<td>optimizer.base_lr</td><td>0.00015</td><td>0.003</td>",
           "<title>" + name + ", epoch 2: loss 0.25</title>",
           "<title>b/run, epoch 2: knn top1 40</title>"}) {
    CHECK_THAT(html, ContainsSubstring(part));
  }
  for (const char* part : {"mask_ratio", "http:", "https:", "<script", "<&\""}) {
    CHECK_THAT(html, !ContainsSubstring(part));
  }
  CHECK_FALSE(fs::exists(a + "/report.html"));
  REQUIRE(report({"--compare", a, b, "--to", page, "--over", "step"}) == 0);
  CHECK_THAT(read_whole_file(page), ContainsSubstring("b/run, step 20: loss 0.25"));
}

TEST_CASE("a run whose weights' head was kept, with a checkpoint that tells nothing, is shown") {
  const TempFolder temp;
  const std::string run = temp.path() + "/run", page = temp.path() + "/page.html";
  make_run(run,
           "objective: finetune\nmodel: {arch: vit_tiny}\nfinetune: {keep_head: true}\n",
           "{\"step\":10,\"epoch\":1,\"loss\":0.5}\n");
  make_folder(run + "/checkpoints/step_00000010");
  write_whole_file(run + "/checkpoints/step_00000010/meta.json", "{\"met");
  make_run(temp.path() + "/other", kMae, kMetrics);
  REQUIRE(report({"--compare", run, temp.path() + "/other", "--to", page}) == 0);
  CHECK_THAT(read_whole_file(page), ContainsSubstring("run</td><td>finetune</td>"));
}

TEST_CASE("runs are named by as much of their paths as tells them apart") {
  CHECK(cli::distinct_names({"/x/a/run", "/x/b/run/", "/y/b/run", "/x/c", "/c"}) ==
        std::vector<std::string>{"a/run", "x/b/run", "y/b/run", "x/c", "c"});
}

TEST_CASE("report says which folder is of no use, and why") {
  const TempFolder temp;
  const std::string run = temp.path() + "/run", none = temp.path() + "/none",
                    empty = temp.path() + "/empty", wrong = temp.path() + "/wrong",
                    link = temp.path() + "/link";
  make_run(run, kMae, kMetrics);
  make_run(empty, kMae, "{\"step\":1,\"lo");
  make_run(wrong, "objective: mae\nmae: {mask_ratoi: 1}\n", kMetrics);
  make_folder(temp.path() + "/folder");
  fs::create_symlink(run, link);
  const auto complaint = [&](const Words& words) -> std::string {
    try {
      report(words + Words{"--to", temp.path() + "/page.html"});
    } catch (const Error& e) {
      const bool usage = dynamic_cast<const UsageError*>(&e) != nullptr;
      return (usage ? "usage: " : "") + std::string(e.what());
    }
    return "";
  };
  CHECK(complaint({none}) == none + ": there is no such folder");
  CHECK(complaint({"--compare", run, temp.path() + "/folder"}) ==
        temp.path() + "/folder: is no run: it has no recipe.yaml");
  CHECK(complaint({"--compare", run, empty}) ==
        empty + ": has no metrics yet: metrics.jsonl has no whole line");
  CHECK(complaint({wrong}) == "usage: " + wrong +
                                  "/recipe.yaml:2: mae.mask_ratoi: unknown key; did you mean "
                                  "mask_ratio?");
  CHECK(complaint({"--compare", run, link}) ==
        fmt::format("usage: --compare: {} and {} are the same run", run, link));
  CHECK(complaint({"--compare", run}) == "usage: --compare: needs two runs or more");
  const std::string which = "usage: say one run, or several behind --compare; --help says more";
  CHECK(complaint({}) == which);
  CHECK(complaint({run, "--compare", run, empty}) == which);
  CHECK(complaint({run, "--over", "time"}) ==
        "usage: --over: time is not one of auto, epoch, step");
  CHECK_FALSE(fs::exists(temp.path() + "/page.html"));
  CHECK(complaint({run}).empty());
  const RunLock training(run);
  CHECK(complaint({run}).empty());
  CHECK_THROWS_AS(report({run}), Error);
}

TEST_CASE("the report of a run is written anew, of one that never wrote it too") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run", page = out + "/report.html";
  REQUIRE(pretrain(kTinyMae + Words{"--data", kScenes, "--out", out, "--set", "train.epochs=2"}) ==
          0);
  const std::string trained = read_whole_file(page);
  REQUIRE(report({out}) == 0);
  CHECK(read_whole_file(page) == trained);

  // As if it had been killed after more steps.
  write_whole_file(
      out + "/metrics.jsonl",
      read_whole_file(out + "/metrics.jsonl") + "{\"step\":33,\"epoch\":2.0625,\"loss\":0.125}\n");
  REQUIRE(report({out}) == 0);
  const std::string longer = read_whole_file(page);
  CHECK_THAT(longer, ContainsSubstring("epoch 2.062: loss 0.125"));
  CHECK_THAT(longer, ContainsSubstring("<b>0.125</b><span>loss</span>"));
  CHECK_THAT(longer, ContainsSubstring("<h2>Make it again</h2>"));
  fs::remove(page);
  REQUIRE(report({out}) == 0);
  const std::string alone = read_whole_file(page);
  for (const char* part : {"<title>mae, vit_tiny</title>",
                           "epoch 2.062: loss 0.125",
                           "<span>training time</span>",
                           "<td>mae.mask_ratio</td>"}) {
    CHECK_THAT(alone, ContainsSubstring(part));
  }
}
