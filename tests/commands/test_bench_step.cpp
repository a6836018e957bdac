#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "commands/bench_step.h"
#include "commands/step_trace.h"
#include "files.h"
#include "support/catch.h"
#include "support/temp_folder.h"

namespace {

const std::string kRecipe = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/mae.yaml";

int bench(std::vector<std::string> words) {
  words.insert(words.begin(), "step");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return previt::cli::bench_step(static_cast<int>(argv.size()), argv.data());
}

// Runs `body` with stdout in a file and returns what it wrote.
template <class Body>
std::string output_of(Body body) {
  std::fflush(stdout);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const int saved = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  body();
  std::fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("bench step prints one JSON line that a script can compare") {
  int code = -1;
  const previt::TempFolder folder;
  const std::string traced = folder.path() + "/trace.json";
  const std::string line = output_of([&] {
    code = bench({"--recipe",
                  kRecipe,
                  "--batch",
                  "4",
                  "--steps",
                  "3",
                  "--set",
                  "model.depth=1",
                  "--set",
                  "train.precision=fp32",
                  "--set",
                  "mae.norm_pix_loss=true",
                  "--device",
                  "cpu",
                  "--trace",
                  traced});
  });
  CHECK(code == 0);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  const auto result = nlohmann::json::parse(line);
  CHECK(result.at("batch") == 4);
  CHECK(result.at("precision") == "fp32");
  const double fastest = result.at("milliseconds").at("min");
  CHECK(fastest > 0);
  CHECK(result.at("milliseconds").at("median") >= fastest);
  CHECK(result.at("images_per_second").get<double>() == Approx(4e3 / fastest));
  CHECK(result.at("gflops_per_second").get<double>() > 0);
  CHECK(result.at("matmul_share").get<double>() > 0);
  CHECK(result.at("matmul_share").get<double>() < 1);
  CHECK(result.at("peak_memory_mib").get<double>() > 10);
  CHECK(result.at("device") == "cpu");
  CHECK(result.at("device_memory_mib") == 0);
  const auto& ceilings = result.at("ceilings");
  CHECK(ceilings.at("copy_gb_per_second").get<double>() > 0.1);
  CHECK(result.at("mfu").get<double>() == Approx(result.at("gflops_per_second").get<double>() /
                                                 ceilings.at("gflops_per_second").get<double>()));
  CHECK(!result.contains("launches"));  // there is no GPU to launch on
  std::set<std::string> events;
  const auto trace = nlohmann::json::parse(previt::read_whole_file(traced));
  for (const auto& event : trace.at("traceEvents")) events.insert(event.value("name", ""));
  CHECK(events.contains("aten::mse_loss"));
  CHECK(events.contains("aten::_fused_adamw_"));
  // Targets of variance 1, predictions of the variance that Xavier gives a layer from 64 to 192.
  CHECK(result.at("loss").get<double>() == Approx(1 + 2. * 64 / (64 + 192)).margin(0.1));
}

TEST_CASE("a device is idle where none of its kernels runs") {
  using previt::cli::idle_share;
  CHECK(idle_share({}) == 0);
  CHECK(idle_share({{5, 5}}) == 0);
  CHECK(idle_share({{10, 20}}) == 0);
  CHECK(idle_share({{30, 50}, {10, 20}}) == Approx(0.25));
  // Of two streams: the second kernel lies in the first, the third begins in it.
  CHECK(idle_share({{10, 30}, {12, 18}, {25, 40}, {50, 60}}) == Approx(0.2));
}

TEST_CASE("bench step ends with 2 on wrong usage") {
  CHECK(bench({}) == 2);
  CHECK(bench({"--recipe", "nowhere.yaml"}) == 2);
  CHECK(bench({"--recipe", kRecipe, "--steps", "0"}) == 2);
  CHECK(bench({"--recipe", kRecipe, "--set", "mae.mask_ratio=2"}) == 2);
  CHECK(bench({"--recipe", kRecipe, "--bacth", "4"}) == 2);
}
