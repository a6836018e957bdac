#include <cmath>

#include "cores.h"
#include "pretrain/train/run_position.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a checkpoint tells the machine and the processor time of all parts of a run") {
  RunPosition before;
  while (std::clock() - before.begun < CLOCKS_PER_SEC / 50) {
  }
  nlohmann::json meta = before.save();
  meta["step"] = 7;
  const double spent = meta.at("processor_seconds");
  CHECK(spent >= 0.02);
  CHECK(spent < 10);
  CHECK(meta.at("machine") == machine_text());
  CHECK(machine_text().ends_with(" cores"));

  RunPosition after;
  meta["processor_seconds"] = 5000.5;
  after.load(meta);
  CHECK(after.steps_done == 7);
  CHECK(after.processor_seconds() >= 5000.5);
  CHECK(after.processor_seconds() < 5010);
  meta.erase("processor_seconds");  // of an older version
  after.load(meta);
  CHECK(std::isnan(after.processor_seconds()));
  CHECK_FALSE(after.save().contains("processor_seconds"));
}
