#pragma once

#include <c10/core/Device.h>

namespace previt::test {

/// Where tests compute that can do so anywhere: what PREVIT_TEST_DEVICE says, which is cpu (the
/// default), cuda, cuda:N, or counted (counted_device.h). On CUDA, float32 is then float32: TF32 is
/// off. Throws if it is none of these or not there.
at::Device test_device();

}  // namespace previt::test
