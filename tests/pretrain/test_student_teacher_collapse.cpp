// What shows a collapse of DINO and iBOT: each test runs over both.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "files.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

// Random crops in whole batches.
class CropSource final : public BatchSource {
 public:
  CropSource(const Objective& objective, int64_t samples)
      : objective_(objective), samples_(samples) {}
  EpochPlan epoch_plan() const override {
    return {.samples = samples_, .step = kCropBatch, .batch = kCropBatch};
  }
  void seek(int64_t epoch, int64_t batch) override { at_ = epoch * batches_per_epoch() + batch; }
  Batch next() override { return crops(objective_, at_++, 0, kCropBatch); }

 private:
  const Objective& objective_;
  int64_t samples_, at_ = 0;
};

}  // namespace

TEST_CASE("what shows a collapse does not depend on how the batch is cut") {
  CropMethod method = any_method();
  method.change = [](StudentTeacherOptions& o) {
    o.teacher_temp = o.warmup_teacher_temp = 0.01;  // sharp: rows differ
  };
  INFO(method.name);
  const auto shown = [&](int64_t micro) {
    RunOptions run = small_crop_run();
    run.train.micro_batch = micro;
    const auto pair = method.build(run);
    Stepper stepper(*pair, run);
    int64_t first = 0;
    return stepper.step(info_of(0), kCropBatch, [&] {
      first += micro;
      return crops(*pair, 0, first - micro, micro);
    });
  };
  const auto whole = shown(kCropBatch).averages.means();
  for (const int64_t micro : {1, 2, 4}) {
    const auto means = shown(micro).averages.means();
    REQUIRE(means.size() == whole.size());
    for (size_t i = 0; i < means.size(); ++i) {
      INFO(micro << " " << means[i].first);
      CHECK(means[i].first == whole[i].first);
      CHECK(means[i].second == Approx(whole[i].second).epsilon(1e-3).margin(1e-5));
    }
  }
}

TEST_CASE("log and report warn of a collapse, and every line has the rank") {
  const TempFolder folder;
  RunOptions run = small_crop_run();
  run.train.epochs = 3;
  run.output.log_steps = 2;
  CropMethod method = any_method();
  method.change = [](StudentTeacherOptions& o) {
    o.teacher_temp = o.warmup_teacher_temp = 1e3;  // targets are uniform
  };
  INFO(method.name);
  const auto pair = method.build(run);
  CropSource source(*pair, 3 * kCropBatch);
  REQUIRE(train(*pair, source, run, folder.path(), /*resume=*/false) == 0);
  std::istringstream lines(read_whole_file(folder.path() + "/metrics.jsonl"));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    INFO(line);
    const auto values = nlohmann::json::parse(line);
    CHECK(values.contains("feature_rank"));
    CHECK(values.at("teacher_entropy") == Approx(std::log(40.0)).epsilon(1e-3));
  }
  CHECK(count == 6);  // after steps 2 and 3 of each epoch
  CHECK_THAT(read_whole_file(folder.path() + "/log.txt"),
             ContainsSubstring("warning: step 2: uniform collapse"));
  CHECK_THAT(read_whole_file(folder.path() + "/report.html"),
             ContainsSubstring("uniform collapse: teacher entropy at ln K"));
}

TEST_CASE("a collapse is named after the warm-up only") {
  const auto pair = any_method().build(small_crop_run());
  const std::map<std::string, double> uniform = {{"teacher_entropy", std::log(40.0)}};
  CHECK(pair->diagnose(uniform, info_of(0)).empty());
  CHECK_THAT(pair->diagnose(uniform, info_of(1)), ContainsSubstring("uniform collapse"));
}
