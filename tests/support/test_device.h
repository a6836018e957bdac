#pragma once

#include <c10/core/Device.h>

#include <string>

namespace previt::test {

/// Where tests compute that can do so anywhere: what PREVIT_TEST_DEVICE says, which is cpu (the
/// default), cuda, cuda:N, or counted (counted_device.h). On CUDA, float32 is then float32: TF32 is
/// off. Throws if it is none of these or not there.
at::Device test_device();

/// What --device says in tests of whole runs: test_device(), but the CPU for the counted one, which
/// programs don't know.
std::string device_option();

/// While it lives, operators of a GPU give the same bits each time; those of the CPU do anyway.
class SameBitsGuard {
 public:
  SameBitsGuard();
  ~SameBitsGuard();
  SameBitsGuard(const SameBitsGuard&) = delete;
  SameBitsGuard& operator=(const SameBitsGuard&) = delete;
};

}  // namespace previt::test
