// What comes before a kernel of our own is used on a GPU: compiling, and the trial.
#include "gpu_launch.h"
#include "gpu_program.h"
#include "gpu_programs.h"
#include "gpu_trial.h"
#include "models/kernels/gpu_gelu.h"
#include "models/kernels/gpu_norm.h"
#include "models/kernels/precision.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/gpu_code.h"
#include "support/test_device.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("NVRTC compiles a GPU's kernels", "[nvrtc]") {
  if (!nvrtc_is_here()) return;
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    for (const char* gpu : {"sm_80", "sm_90"}) {
      for (const int64_t width : {4, 192, 768, 1000, 1536}) {
        check_code(compile_for_gpu(kGpuNormSource, gpu, gpu_defines(type, width)),
                   {"add_norm", "add_norm_backward"});
      }
      for (const int64_t width : {5, 66, 768, 3072}) {
        check_code(compile_for_gpu(kGpuGeluSource, gpu, gpu_gelu_defines(type, width)),
                   {"bias_gelu", "bias_gelu_backward"});
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
  CHECK(tried_gpu_program("none", numbered(test_device()), "no C++", {}, [&] {
          return GpuTrial(none);
        }) == nullptr);
}

TEST_CASE("a kernel is tried once for a device, with the number that the device has") {
  if (!gpu_kernels_allowed()) return;  // switched off from outside
  const at::Device device = counted_device();
  REQUIRE(device.index() == 0);
  GpuPrograms<std::string> programs;
  std::vector<std::string> tried;
  const auto find = [&](at::Device on, const std::string& key) {
    return programs.find(on, key, [&](at::Device gpu) -> std::unique_ptr<GpuProgram> {
      tried.push_back(gpu.str() + " " + key);
      return nullptr;
    });
  };
  CHECK(find(at::Device(device.type()), "a") == nullptr);
  find(device, "a");
  find(at::Device(device.type()), "b");
  CHECK(tried == std::vector{device.str() + " a", device.str() + " b"});
}

TEST_CASE("PlainKernelsGuard leaves LibTorch's operators on a GPU too") {
  const at::Tensor x = torch::ones({8, 768}, test::test_device());
  const bool before = gpu_kernels_allowed();
  {
    const PlainKernelsGuard plain;
    CHECK(!gpu_kernels_allowed());
    CHECK(gpu_norm_program(x, {}, torch::kBFloat16) == nullptr);
    CHECK(gpu_gelu_program(x.device(), torch::kBFloat16, 768) == nullptr);
  }
  CHECK(gpu_kernels_allowed() == before);
}

TEST_CASE("a GPU's kernels get whole rows from a multiple of 16 bytes on") {
  const at::Tensor x = torch::randn({64});
  for (const at::Tensor& t : {x, x.slice(0, 4), x.view({8, 8})}) {
    CHECK(readable(t).data_ptr() == t.data_ptr());
  }
  for (const at::Tensor& t : {x.slice(0, 1), x.view({8, 8}).t(), x.slice(0, 1).view({7, 9})}) {
    const at::Tensor got = readable(t);
    CHECK(torch::equal(got, t));
    CHECK(got.is_contiguous());
    CHECK(reinterpret_cast<uintptr_t>(got.data_ptr()) % 16 == 0);
  }
  CHECK(!readable({}).defined());
}

TEST_CASE("trials get the same numbers and leave the run's alone") {
  torch::manual_seed(4);
  const at::Tensor next = torch::randn({3});
  torch::manual_seed(4);
  TrialNumbers numbers(at::kCPU), again(at::kCPU);
  const at::Tensor a = numbers({20}, torch::kFloat), b = numbers({20}, torch::kBFloat16);
  CHECK(!torch::equal(a.to(torch::kBFloat16), b));
  CHECK(torch::equal(a, again({20}, torch::kFloat)));
  CHECK(b.scalar_type() == torch::kBFloat16);
  CHECK(torch::equal(torch::randn({3}), next));
}
