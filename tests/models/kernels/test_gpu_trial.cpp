// What comes before a kernel of our own is used on a GPU: compiling, and the trial.
#include "gpu_program.h"
#include "gpu_trial.h"
#include "models/kernels/gpu_norm.h"
#include "support/catch.h"
#include "support/test_device.h"

using namespace previt;

TEST_CASE("NVRTC compiles a GPU's kernels") {
  if (!can_compile_for_gpu()) {
    WARN("skipped: no libnvrtc.so here (the package nvidia-cuda-nvrtc has one)");
    return;
  }
  for (const char* type : {"float", "Bf16"}) {
    for (const char* gpu : {"sm_80", "sm_90"}) {
      for (const int width : {4, 192, 768, 1000, 1536}) {
        const std::string code = compile_for_gpu(
            kGpuNormSource,
            gpu,
            {std::string("PREVIT_TYPE=") + type, "PREVIT_WIDTH=" + std::to_string(width)});
        CHECK(code.substr(1, 3) == "ELF");
        for (const char* kernel : {".text.add_norm", ".text.add_norm_backward"}) {
          CHECK(code.find(std::string(kernel) + '\0') != std::string::npos);
        }
      }
    }
  }
  CHECK_THROWS_WITH(compile_for_gpu("__global__ void f() { no_such_function(); }", "sm_90", {}),
                    ContainsSubstring("no_such_function"));
}

TEST_CASE("one wrong number among many is seen, and a rounding is none") {
  torch::manual_seed(2);
  const at::Tensor x = torch::randn({400, 300});
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const double rounding = type == torch::kFloat ? 1e-5 : 4e-3;
    const at::Tensor a = x.to(type), beside = (x * (1 + rounding)).to(type);
    const at::Tensor wrong = a.clone(), none = a.clone();
    wrong[7][299].add_(0.1);
    none[3][4].fill_(NAN);
    CHECK(same_numbers({a, a}, {a, beside}));
    CHECK(!same_numbers({a, a}, {a, wrong}));
    CHECK(!same_numbers({a}, {none}));
    CHECK(!same_numbers({a}, {a, a}));
    CHECK(!same_numbers({a, a}, {a}));
    CHECK(!same_numbers({a}, {a.t()}));
  }
  CHECK(!same_numbers({x}, {x.to(torch::kBFloat16)}));
}

TEST_CASE("a kernel that can't be tried leaves LibTorch's operators") {
  const auto none = [](const GpuProgram*) { return std::vector<at::Tensor>(); };
  CHECK(tried_gpu_program(
            "none", test::test_device(), "no C++", {}, [&] { return GpuTrial(none); }) == nullptr);
}
