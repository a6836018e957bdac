#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "by_level.h"
#include "error.h"
#include "levels/levels.h"

using namespace previt;

namespace {

// Within its scope none of the variables is set that a level has to do with.
class NoVariables {
 public:
  NoVariables() {
    for (auto& [name, before] : variables_) {
      if (const char* value = std::getenv(name.c_str())) before = value;
      unsetenv(name.c_str());
    }
  }
  ~NoVariables() {
    for (const auto& [name, before] : variables_) {
      before ? setenv(name.c_str(), before->c_str(), 1) : unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> variables_{{"PREVIT_CPU_LEVEL", {}},
                                                               {"ONEDNN_MAX_CPU_ISA", {}},
                                                               {"MKL_ENABLE_INSTRUCTIONS", {}},
                                                               {"ATEN_CPU_CAPABILITY", {}}};
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "(none)" : value;
}

constexpr auto registers_of = [](auto lanes) PREVIT_INLINE { return Registers(lanes); };

}  // namespace

TEST_CASE("the machine has the level that is expected of it") {
  const char* expected = std::getenv("PREVIT_EXPECTED_LEVEL");
  WARN("this machine: " << name_of(machine_level())
                        << ", expected: " << (expected == nullptr ? "any" : expected));
  if (expected != nullptr) CHECK(std::string(name_of(machine_level())) == expected);
  CHECK(cpu_level() == machine_level());
}

TEST_CASE("a level's own copy of a loop runs") {
  const int lanes[]{4, 8, 16, 16, 16};
  at_each_level([&] {
    const auto level = static_cast<int>(cpu_level());
    CHECK(by_level(registers_of).floats == lanes[level]);
    CHECK(by_level_bf16(registers_of).floats == lanes[level]);
    CHECK_FALSE(by_level(registers_of).rounds_bf16);
    CHECK(by_level_bf16(registers_of).rounds_bf16 == (cpu_level() >= CpuLevel::kAvx512Bf16));
  });
  const LevelGuard guard(CpuLevel::kAmx);
  CHECK(cpu_level() == machine_level());
}

TEST_CASE("PREVIT_CPU_LEVEL lowers the level, that of other libraries too") {
  for (const CpuLevel level : {CpuLevel::kBaseline,
                               CpuLevel::kAvx2,
                               CpuLevel::kAvx512,
                               CpuLevel::kAvx512Bf16,
                               CpuLevel::kAmx}) {
    INFO(name_of(level));
    const NoVariables none;
    const LevelGuard guard(machine_level());
    setenv("PREVIT_CPU_LEVEL", name_of(level), 1);
    limit_cpu_level_by_environment();
    const bool lower = level < machine_level();
    CHECK(cpu_level() == std::min(level, machine_level()));
    CHECK((variable("ONEDNN_MAX_CPU_ISA") == "(none)") == !lower);
    CHECK((variable("MKL_ENABLE_INSTRUCTIONS") == "(none)") == !lower);
    CHECK((variable("ATEN_CPU_CAPABILITY") == "(none)") == !lower);
    if (!lower || level != CpuLevel::kAvx2) continue;
    CHECK(variable("ONEDNN_MAX_CPU_ISA") == "AVX2");
    CHECK(variable("MKL_ENABLE_INSTRUCTIONS") == "AVX2");
    CHECK(variable("ATEN_CPU_CAPABILITY") == "avx2");
  }
}

TEST_CASE("PREVIT_CPU_LEVEL must be a level's name") {
  const NoVariables none;
  const LevelGuard guard(machine_level());
  limit_cpu_level_by_environment();
  CHECK(cpu_level() == machine_level());
  setenv("PREVIT_CPU_LEVEL", "", 1);
  limit_cpu_level_by_environment();
  CHECK(cpu_level() == machine_level());
  setenv("PREVIT_CPU_LEVEL", "AVX2", 1);
  CHECK_THROWS_AS(limit_cpu_level_by_environment(), UsageError);
  CHECK_THROWS_WITH(
      limit_cpu_level_by_environment(),
      "PREVIT_CPU_LEVEL: AVX2 is not one of baseline, avx2, avx512, avx512_bf16, amx");
  CHECK(variable("ONEDNN_MAX_CPU_ISA") == "(none)");
}
