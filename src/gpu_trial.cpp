#include "gpu_trial.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isclose.h>
#include <ATen/ops/randn.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "clocks.h"
#include "error.h"
#include "failure.h"
#include "gpu_launch.h"
#include "gpu_program.h"
#include "log.h"

namespace previt {
namespace {

double seconds(const GpuTrial& trial, const GpuProgram* program, void* stream) {
  constexpr int kTimes = 10;
  GpuProgram::wait_for(stream);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) trial(program);
  GpuProgram::wait_for(stream);
  return seconds_since(begin);
}

}  // namespace

TrialNumbers::TrialNumbers(at::Device device)
    : device_(device), generator_(at::detail::createCPUGenerator(/*seed_val=*/1)) {}

at::Tensor TrialNumbers::operator()(at::IntArrayRef shape, at::ScalarType type) {
  return at::randn(shape, generator_, at::TensorOptions(at::kFloat)).to(device_, type);
}

bool same_numbers(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].scalar_type() != b[i].scalar_type() || a[i].sizes() != b[i].sizes()) return false;
    const double tolerance = a[i].scalar_type() == at::kBFloat16 ? 1e-2 : 1e-4;
    const at::Tensor x = a[i].detach().to(at::kFloat), y = b[i].detach().to(at::kFloat);
    const double usual = y.square().mean().sqrt().item<double>();
    if (!std::isfinite(usual)) return false;
    if (!at::isclose(x, y, tolerance, tolerance * usual).all().item<bool>()) return false;
  }
  return true;
}

std::unique_ptr<GpuProgram> tried_gpu_program(const std::string& name,
                                              at::Device device,
                                              const char* source,
                                              const std::vector<std::string>& defines,
                                              const std::function<GpuTrial()>& make_trial) {
  std::unique_ptr<GpuProgram> program;
  double share = 0;
  const c10::DeviceGuard guard(device);
  const c10::InferenceMode no_inference(false);
  const at::AutoGradMode with_gradients(true);
  const std::string failure = failure_of([&] {
    program = std::make_unique<GpuProgram>(device.index(), source, defines);
    const GpuTrial trial = make_trial();
    require(same_numbers(trial(program.get()), trial(nullptr)), "wrong numbers");
    void* const stream = gpu_stream(device);
    double ours = 1e9, theirs = 1e9;
    for (int round = 0; round < 3; ++round) {
      ours = std::min(ours, seconds(trial, program.get(), stream));
      theirs = std::min(theirs, seconds(trial, nullptr, stream));
    }
    share = ours / theirs;
  });
  if (!failure.empty()) {
    warn("{}: {}; LibTorch's operators stay", name, failure);
    return nullptr;
  }
  const bool pays = share < 0.97;
  info("{}: our kernels take {:.2f} of the time of LibTorch's{}",
       name,
       share,
       pays ? "" : ", which stay");
  return pays ? std::move(program) : nullptr;
}

}  // namespace previt
