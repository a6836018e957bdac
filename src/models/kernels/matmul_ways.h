#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace previt {

/// A large matmul on the CPU, for which ways are compared.
struct MatmulShape {
  std::string kind;  ///< which of the operands is transposed, with or without a bias
  at::ScalarType type;
  int64_t rows;     ///< of tokens; drop path makes them vary from step to step
  int64_t out, in;  ///< the layer's widths

  double flops() const;
  /// For which a choice holds: rows count by powers of two, and threads belong to it.
  std::string text() const;
};

/// One way to compute a matmul.
struct MatmulWay {
  std::string name;
  std::function<at::Tensor()> compute;
};

/// Which way computes a shape: LibTorch holds several libraries, and which is the fastest depends
/// on processor, type and sizes. Results differ in rounding, so a run keeps its choices.
class MatmulWays {
 public:
  /// The result of the way that is chosen for the shape: the first of `ways`, unless another was
  /// measured. A new shape that is large enough is measured on the spot, if measuring is on: each
  /// way computes it, and a later one is chosen if it takes 5 % less time. A way that throws
  /// is left out.
  at::Tensor compute(const MatmulShape& shape, const std::vector<MatmulWay>& ways);

  void measure(bool on) { measures_ = on; }
  bool measures() const { return measures_; }

  /// From now on the time spent in matmuls, small ones too, is added up from zero; it does not
  /// include those of attention. For benches: nothing else may compute matmuls at the same time.
  void start_clock() { seconds_ = 0; }
  double stop_clock() { return std::exchange(seconds_, std::nullopt).value_or(0); }

  /// The measured choices: names of ways by the shapes' texts.
  std::map<std::string, std::string> chosen() const;
  /// What was measured: GFLOP/s of each way, by the shapes' texts.
  std::map<std::string, std::map<std::string, double>> speeds() const;
  /// Choices that are kept, such as those of the run that goes on.
  void choose(const std::map<std::string, std::string>& chosen);

 private:
  at::Tensor computed(const MatmulShape& shape, const std::vector<MatmulWay>& ways);
  at::Tensor measured(const MatmulShape& shape, const std::vector<MatmulWay>& ways);

  mutable std::mutex mutex_;
  bool measures_ = false;
  std::optional<double> seconds_;  // in matmuls while the clock runs
  std::map<std::string, std::string> chosen_;
  std::map<std::string, std::map<std::string, double>> speeds_;
};

/// Those of the process. Measuring is off at first.
MatmulWays& matmul_ways();

}  // namespace previt
