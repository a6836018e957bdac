#include <filesystem>
#include <fstream>

#include "parity/parity.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/test_device.h"

using namespace previt;

namespace {

// Networks and losses on a device while it lives.
struct OnDevice {
  explicit OnDevice(at::Device device) { parity::use_device(device); }
  ~OnDevice() { parity::use_device(at::kCPU); }
};

}  // namespace

// A fixture that is lost, or comes in unnoticed, is seen: parity/fixtures.txt names them all.
TEST_CASE("every fixture of the authors' code is reproduced") {
  const OnDevice device(test::test_device());
  std::vector<std::string> listed, found;
  std::ifstream list(PREVIT_SOURCE_DIR "/tests/parity/fixtures.txt");
  for (std::string name; std::getline(list, name);) listed.push_back(name);
  for (const auto& report : parity::run_folder(PREVIT_SOURCE_DIR "/tests/fixtures")) {
    INFO(report.file << ": " << report.detail);
    CHECK(report.outcome == parity::Outcome::passed);
    found.push_back(std::filesystem::path(report.file).filename());
  }
  CHECK(found == listed);
}

TEST_CASE("every fixture is reproduced on another device than the host") {
  if (!test::counted_device_has_gradients()) return;
  const OnDevice device(test::counted_device());
  for (const auto& report : parity::run_folder(PREVIT_SOURCE_DIR "/tests/fixtures")) {
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
