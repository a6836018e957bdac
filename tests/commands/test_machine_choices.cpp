#include "commands/machine_choices.h"
#include "files.h"
#include "models/kernels/matmul_ways.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"

using namespace previt;
using namespace previt::test;

namespace {

// What a new run, or one that goes on in `folder`, computes in.
Precision decided(Precision asked, const std::string& folder = "") {
  RunOptions run;
  run.model.embed_dim = 24;  // too small to measure
  run.model.image_size = {32};
  run.model.patch_size = 8;
  run.train.batch = 2;
  run.train.precision = asked;
  cli::decide_for_machine(run, at::kCPU, folder);
  matmul_ways().measure(false);
  return run.train.precision;
}

}  // namespace

TEST_CASE("a run that goes on keeps the precision of its recipe, unless another is asked for") {
  const TempFolder temp;
  CHECK(decided(Precision::automatic) == Precision::fp32);
  CHECK(decided(Precision::automatic, temp.path()) == Precision::fp32);  // nothing there yet
  write_whole_file(temp.path() + "/recipe.yaml", "train:\n  precision: bf16\n");
  CHECK(decided(Precision::automatic, temp.path()) == Precision::bf16);
  CHECK(decided(Precision::fp32, temp.path()) == Precision::fp32);
}

TEST_CASE("train.deterministic asks LibTorch for operators of one order") {
  RunOptions run;
  run.train.precision = Precision::fp32;
  for (const bool on : {true, false}) {
    run.train.deterministic = on;
    cli::decide_for_machine(run, at::kCPU, "");
    CHECK(at::globalContext().deterministicAlgorithms() == on);
    CHECK(at::globalContext().deterministicCuDNN() == on);
  }
  matmul_ways().measure(false);
}

TEST_CASE("a run that goes on keeps the micro-batch that was found for it") {
  const TempFolder temp;
  const auto decided_micro = [&](int64_t asked, const std::string& folder) {
    RunOptions run;
    run.train.precision = Precision::fp32;
    run.train.micro_batch = asked;
    cli::decide_for_machine(run, at::kCPU, folder);
    matmul_ways().measure(false);
    return run.train.micro_batch;
  };
  CHECK(decided_micro(kAutomatic, temp.path()) == kAutomatic);  // nothing there yet
  write_whole_file(temp.path() + "/recipe.yaml", "train:\n  micro_batch: 48\n");
  CHECK(decided_micro(kAutomatic, temp.path()) == 48);
  CHECK(decided_micro(kAutomatic, "") == kAutomatic);
  CHECK(decided_micro(0, temp.path()) == 0);
}

TEST_CASE("a run's own recipe names the precision that was decided", "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const Words automatic = kTinyMae + Words{"--data",
                                           kScenes,
                                           "--out",
                                           out,
                                           "--set",
                                           "train.epochs=1",
                                           "--set",
                                           "train.precision=auto"};
  const Outcome outcome = run_program(program("pretrain"), automatic);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.errors, ContainsSubstring("train.precision: fp32, as "));
  CHECK_THAT(read_whole_file(out + "/recipe.yaml"), ContainsSubstring("precision: \"fp32\""));
  const Outcome refused =
      run_program(program("pretrain"), automatic, {.environment = {{"PREVIT_CPU_LEVEL", "avx9"}}});
  CHECK(refused.code == 2);
  CHECK(refused.errors ==
        "PREVIT_CPU_LEVEL: avx9 is not one of baseline, avx2, avx512, avx512_bf16, amx; did you "
        "mean avx2?\n");
}
