#include "support/test_device.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include <cstdlib>
#include <string>

#include "support/counted_device.h"

namespace previt::test {

at::Device test_device() {
  const char* given = std::getenv("PREVIT_TEST_DEVICE");
  const std::string name = given == nullptr ? "cpu" : given;
  if (name == "counted") return counted_device();
  const at::Device device(name);
  torch::empty({1}, device);  // throws if it is not there
  if (device.is_cuda()) {
    at::globalContext().setFloat32MatmulPrecision("highest");
    at::globalContext().setAllowTF32CuDNN(false);
  }
  return device;
}

}  // namespace previt::test
