// What is wrong with a command line is said in one line that names the option.
#include "support/catch.h"
#include "support/previt_program.h"

using namespace previt::test;

namespace {

using Words = std::vector<std::string>;

void refuse(const std::string& tool, const Words& words, const std::string& line) {
  const Outcome outcome = run_program(program(tool), words);
  INFO(tool << " " << fmt::format("{}", fmt::join(words, " ")));
  CHECK(outcome.code == 2);
  CHECK(outcome.errors == line + "\n");
  CHECK(outcome.output.empty());
}

}  // namespace

TEST_CASE("a word without an option is named, and a recipe gets its option") {
  refuse(
      "pretrain", {"my.yaml"}, "my.yaml: a word without an option; did you mean --recipe my.yaml?");
  refuse("bench",
         {"stpe", "--recipe", "my.yaml"},
         "stpe: not one of step, loader, load, knn, memory, scaling, machine; did you mean step?");
  refuse("pretrain", {"photos"}, "photos: a word without an option; --help says more");
  refuse("report", {"one", "two"}, "two: a word without an option; --help says more");
  refuse(
      "report", {"one.yaml", "two.yaml"}, "two.yaml: a word without an option; --help says more");
}

TEST_CASE("a value that an option can't take is named, with what it takes") {
  refuse("pretrain", {"--nproc", "two"}, "--nproc: two is not a whole number");
  refuse("knn_probe", {"--temperature", "warm"}, "--temperature: warm is not a number");
  refuse("pretrain", {"--recipe"}, "--recipe: needs a value; --help says more");
  refuse("pretrain", {"--resume=yes"}, "--resume: takes no value");
  refuse("pretrain", {"--out", "a", "--out", "b"}, "--out: given more than once");
}
