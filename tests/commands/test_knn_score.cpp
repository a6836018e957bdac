#include <numeric>

#include "augment/open_dataset.h"
#include "commands/knn_probe.h"
#include "commands/knn_score.h"
#include "files.h"
#include "finetune/probes/knn.h"
#include "log.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;

namespace {

using Score = std::function<std::map<std::string, double>(int64_t epochs_done)>;

PretrainRun run_on(const std::string& data) {
  PretrainRun run;
  run.options = test::tiny_options();
  run.options.data.path = data;
  run.options.data.workers = 1;
  run.knn = {.epochs = 1, .k = 5, .temperature = 0.1, .train_images = 50, .test_images = 20};
  return run;
}

Score score_of(const PretrainRun& run, Objective& objective, const std::string& cache_folder) {
  return cli::knn_score(run, objective, open_dataset(run.options.data.path), cache_folder);
}

// What knn_probe says of the same network and images.
double probe(Objective& objective, const std::string& data) {
  const TempFolder temp;
  const std::string from = temp.path() + "/model.safetensors";
  const Vit& vit = *objective.backbone();
  write_safetensors(from, named_tensors(vit), model_metadata(vit.options(), {}, {}));
  const test::Words words = {
      "--from", from, "--data", data, "--k", "5", "--temperature", "0.1", "--out", temp.path()};
  REQUIRE(test::call(cli::knn_probe_options(), cli::knn_probe, words) == 0);
  return test::result_in(temp.path())["top1"];
}

}  // namespace

TEST_CASE("the kNN score of a run is what knn_probe finds on its data") {
  test::TinyObjective objective;
  objective.eval();
  const TempFolder temp;
  const std::string data = "synthetic:shapes,size=8,count=50,val=20";
  const auto score = score_of(run_on(data), objective, temp.path());
  REQUIRE(score);
  const auto found = score(1);
  CHECK(found.at("knn_top1") == probe(objective, data));
}

TEST_CASE("the kNN score takes no more images than it is given, evenly from all") {
  test::TinyObjective objective;
  objective.eval();
  const TempFolder temp;
  const std::string log = temp.path() + "/log.txt";
  log_to(log);
  PretrainRun run = run_on("synthetic:shapes,size=8,count=500,val=0");
  run.knn.train_images = 30;
  run.knn.test_images = 8;
  const double share = score_of(run, objective, temp.path())(1).at("knn_top1") / 100 * 8;
  CHECK(share == std::round(share));
  CHECK_THAT(read_whole_file(log), ContainsSubstring("(8 images, compared with 30 others)"));
}

TEST_CASE("the kNN score takes images of all classes where classes take turns") {
  test::TinyObjective objective;
  objective.eval();
  const TempFolder temp;
  // Every tenth of these is of the first class, and then all would be right.
  const auto run = run_on("synthetic:shapes,size=8,count=500,val=200");
  CHECK(score_of(run, objective, temp.path())(1).at("knn_top1") < 100);
}

TEST_CASE("a kNN score that can't be made is left out, not the run") {
  test::TinyObjective objective;
  objective.eval();
  const TempFolder temp;
  const auto score =
      score_of(run_on("synthetic:shapes,size=8,count=50,val=20"), objective, temp.path());
  for (auto& parameter : objective.vit->parameters()) parameter.data().fill_(NAN);
  CHECK(score(1).empty());
}

TEST_CASE("a run without kNN score has nothing to call") {
  test::TinyObjective objective;
  PretrainRun run = run_on("synthetic:shapes,size=8,count=50");
  run.knn.epochs = 0;
  CHECK_FALSE(score_of(run, objective, ""));
}

TEST_CASE("a kNN score on data without a validation split says what it holds out") {
  test::TinyObjective objective;
  const TempFolder temp;
  const std::string log = temp.path() + "/log.txt", data = "synthetic:shapes,size=8,count=50,val=0";
  log_to(log);
  CHECK(score_of(run_on(data), objective, temp.path()));
  CHECK_THAT(read_whole_file(log),
             ContainsSubstring(data + ": no validation split; the kNN score holds out a tenth of "
                                      "each class") &&
                 ContainsSubstring("pretraining sees all of them"));
}

TEST_CASE("the kNN score is of the images that are open, and doesn't open them again") {
  test::TinyObjective objective;
  const TempFolder temp;
  const std::string log = temp.path() + "/log.txt", data = "synthetic:shapes,size=8,count=50,val=0";
  std::vector<int64_t> first(30);
  std::iota(first.begin(), first.end(), int64_t{0});
  const auto images = select(open_dataset(data), first);
  log_to(log);
  CHECK(cli::knn_score(run_on(data), objective, images, temp.path()));
  const auto classes = std::ssize(images->class_names());  // one image of each is held out
  CHECK_THAT(read_whole_file(log),
             ContainsSubstring(
                 fmt::format("({} images, compared with {} others)", classes, 30 - classes)));
}
