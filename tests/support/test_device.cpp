#include "support/test_device.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include <cstdlib>
#include <string>

#include "support/counted_device.h"

namespace previt::test {
namespace {

std::string given_name() {
  const char* given = std::getenv("PREVIT_TEST_DEVICE");
  return given == nullptr ? "cpu" : given;
}

// As train.deterministic does.
void give_same_bits(bool on) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  context.setSDPUseMemEfficient(!on);
  context.setSDPUseCuDNN(!on);
  if (on) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

}  // namespace

at::Device test_device() {
  const std::string name = given_name();
  if (name == "counted") return counted_device();
  const at::Device device(name);
  torch::empty({1}, device);  // throws if it is not there
  if (device.is_cuda()) {
    at::globalContext().setFloat32MatmulPrecision("highest");
    at::globalContext().setAllowTF32CuDNN(false);
  }
  return device;
}

std::string device_option() {
  const std::string name = given_name();
  return name == "counted" ? "cpu" : name;
}

SameBitsGuard::SameBitsGuard() {
  if (test_device().is_cuda()) give_same_bits(true);
}

SameBitsGuard::~SameBitsGuard() {
  if (test_device().is_cuda()) give_same_bits(false);
}

}  // namespace previt::test
