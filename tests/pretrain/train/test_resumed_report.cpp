#include <filesystem>
#include <fstream>

#include "error.h"
#include "files.h"
#include "pretrain/train/report.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

class DrawingObjective final : public TinyObjective {
 public:
  std::vector<Picture> previews(const Batch&, const NormalizeOptions&) override {
    return {{"scene", "what it sees", torch::zeros({2, 2, 3}, torch::kUInt8)}};
  }
};

int run(const std::string& folder, bool resume, int64_t epochs, double preview_epochs) {
  DrawingObjective objective;
  MemorySource source(24, 8);
  RunOptions options = tiny_options();
  options.train.epochs = epochs;
  options.output.preview_epochs = preview_epochs;
  options.output.checkpoint_epochs = 1;
  TrainCallbacks callbacks;
  callbacks.encode_png = [](const at::Tensor&) { return std::string("png of the scene"); };
  // Fails after the first report of the resumed part.
  if (epochs > 2)
    callbacks.evaluate = [](int64_t epoch) -> std::map<std::string, double> {
      require(epoch < 4, "stopped");
      return {};
    };
  return train(objective, source, options, folder, resume, {}, callbacks);
}

std::string report(const std::string& folder) { return read_whole_file(folder + "/report.html"); }

}  // namespace

TEST_CASE("reports of a resumed run show the newest pictures of the part before") {
  const TempFolder temp;
  const std::string picture = base64("png of the scene"), caption = "what it sees (after 2 epochs)";
  REQUIRE(run(temp.path(), false, 2, 1) == 0);
  CHECK_THAT(report(temp.path()), ContainsSubstring(picture) && ContainsSubstring(caption));
  std::filesystem::remove(temp.path() + "/report.html");

  SECTION("a finished run that is resumed") {
    REQUIRE(run(temp.path(), true, 2, 1) == 0);
    CHECK_THAT(report(temp.path()), ContainsSubstring(picture) && ContainsSubstring(caption));
  }
  SECTION("a run that goes on, before it has new pictures") {
    CHECK_THROWS_WITH(run(temp.path(), true, 5, 9), "stopped");
    CHECK_THAT(report(temp.path()), ContainsSubstring(picture) && ContainsSubstring(caption));
  }
  SECTION("pictures or their list that are gone or damaged are left out") {
    const bool list = GENERATE(true, false);
    const std::string name = list ? "newest.json" : "epoch_0002.0_scene.png";
    if (list) {
      std::ofstream(temp.path() + "/previews/" + name) << "{\"epo";
    } else {
      REQUIRE(std::filesystem::remove(temp.path() + "/previews/" + name));
    }
    REQUIRE(run(temp.path(), true, 2, 1) == 0);
    CHECK_THAT(report(temp.path()), !ContainsSubstring(picture));
  }
}

TEST_CASE("what a run's last evaluation added to its report stays until the next one") {
  const TempFolder temp;
  const auto run_on = [&](bool resume, int64_t epochs, const std::string& found) {
    TinyObjective objective;
    MemorySource source(24, 8);
    RunOptions options = tiny_options();
    options.train.epochs = epochs;
    TrainCallbacks callbacks;
    callbacks.extend_report = [&](Report& report) {
      if (!found.empty()) report.add_text("Classes", found);
      return !found.empty();
    };
    REQUIRE(train(objective, source, options, temp.path(), resume, {}, callbacks) == 0);
    return report(temp.path());
  };
  CHECK_THAT(run_on(false, 2, "cats 90"), ContainsSubstring("cats 90"));
  const std::string later = run_on(true, 3, "");
  CHECK_THAT(later, ContainsSubstring("cats 90") && ContainsSubstring("3 of 3 epochs"));
  const std::string last = run_on(true, 4, "cats 95");
  CHECK_THAT(last, ContainsSubstring("cats 95") && !ContainsSubstring("cats 90"));
}

TEST_CASE("a start that failed at once doesn't stand in the way of the corrected one") {
  const TempFolder temp;
  std::ofstream(temp.path() + "/metrics.jsonl").close();
  CHECK(run(temp.path(), false, 1, 1) == 0);
  CHECK_THROWS_AS(run(temp.path(), false, 1, 1), UsageError);
}
