#include "parity/parity.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("every fixture of the authors' code is reproduced") {
  const auto reports = parity::run_folder(PREVIT_SOURCE_DIR "/tests/fixtures");
  REQUIRE(!reports.empty());
  for (const auto& report : reports) {
    INFO(report.file << ": " << report.detail);
    CHECK(report.outcome == parity::Outcome::passed);
  }
}

TEST_CASE("a wrong number is seen by every tolerance") {
  const at::Tensor want = torch::tensor({1.0, -2.0, 3.0});
  const at::Tensor off = want + 1e-3;
  parity::Check check;
  check.t1("t1", off, want);
  check.t2("t2", off, want);
  check.t3("t3", off, want);
  check.t4("t4", off, want);
  check.exact("exact", off, want);
  check.t1("nan", want * NAN, want);
  check.t1("shape", want.slice(0, 1), want);
  check.pixels("pixels", torch::zeros({2}), torch::full({2}, 3), 2);
  CHECK(check.failures().size() == 8);
  parity::Check fine;
  fine.t1("t1", want + 1e-6, want);
  fine.exact("exact", want, want);
  CHECK(fine.passed());
}
