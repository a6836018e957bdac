#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/weights/load_model.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/previt_program.h"
#include "support/program.h"

using namespace previt;

TEST_CASE("bench load prints one JSON line about time and memory") {
  const TempFolder folder;
  VitOptions wide = test::small_vit();
  wide.embed_dim = 768;  // 57 MB, so that memory is not all noise
  wide.num_heads = 12;
  const std::string path = test::tiny_checkpoint(folder.path(), wide);
  const auto bench = test::run_program(test::program("bench"), {"load", "--from", path});
  INFO(bench.errors);
  REQUIRE(bench.code == 0);
  CHECK(std::count(bench.output.begin(), bench.output.end(), '\n') == 1);
  const auto line = nlohmann::json::parse(bench.output);
  const auto number = [&](const char* name) { return line.at(name).get<double>(); };
  CHECK(number("file_bytes") == static_cast<double>(std::filesystem::file_size(path)));
  CHECK(number("model_bytes") > 50e6);
  CHECK(number("file_bytes") > number("model_bytes"));
  CHECK(number("first_milliseconds") > 0);
  CHECK(number("ratio") == Approx(number("milliseconds") / number("plain_milliseconds")));
  // The file's bytes beside the model's, or the model twice, would be as much again.
  CHECK(number("peak_bytes") > 0.9 * number("model_bytes"));
  CHECK(number("peak_over_model") < 0.7 * number("model_bytes"));
}

TEST_CASE("bench load says what is wrong with its options") {
  const std::string bench = test::program("bench");
  CHECK(test::run_program(bench, {"load"}).code == 2);
  CHECK(test::run_program(bench, {"load", "--from", "/nowhere"}).code == 1);
  CHECK(test::run_program(bench, {"load", "--from", "/nowhere", "--repeats", "0"}).code == 2);
}
