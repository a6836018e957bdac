#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace previt {

class GpuProgram;

/// All results of a program on fixed inputs, or of LibTorch's operators if it is null.
using GpuTrial = std::function<std::vector<at::Tensor>(const GpuProgram*)>;

constexpr int64_t kTrialRows = 8197;  ///< of a trial's inputs: they fill no block

/// Normal random numbers for trials, the same in each, on a device. They take nothing from the run's.
class TrialNumbers {
 public:
  explicit TrialNumbers(at::Device device);
  at::Tensor operator()(at::IntArrayRef shape, at::ScalarType type);

 private:
  at::Device device_;
  at::Generator generator_;
};

/// Whether types, shapes and every number are the same, within a rounding of the type to the number
/// or to what is usual in its tensor. Each counts by itself: a wrong one can't hide among many.
bool same_numbers(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

/// Compiles `source` for the device, which has its number, holds its results against LibTorch's and
/// times both. Gives the program if every number is right and it saves 3 % of the time, else null;
/// never throws, and logs what came of it, led by `name`.
std::unique_ptr<GpuProgram> tried_gpu_program(const std::string& name,
                                              at::Device device,
                                              const char* source,
                                              const std::vector<std::string>& defines,
                                              const std::function<GpuTrial()>& make_trial);

}  // namespace previt
