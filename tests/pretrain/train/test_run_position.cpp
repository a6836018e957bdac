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

TEST_CASE("unreadable images that both parts of a run met are counted once") {
  const auto met = [](int64_t count) {
    StepOutcome step;
    step.news.bad_samples = count;
    return step;
  };
  RunPosition before;
  before.add(met(1), {});
  before.add(met(3), {});
  nlohmann::json meta = before.save();
  meta["step"] = before.steps_done;
  CHECK(before.bad_samples == 3);

  RunPosition after;
  after.load(meta);
  after.add(met(2), {});
  CHECK(after.bad_samples == 3);
  after.add(met(4), {});
  CHECK(after.bad_samples == 4);
  meta.erase("bad_samples");  // of an older version
  after.load(meta);
  CHECK(after.bad_samples == 0);
}
