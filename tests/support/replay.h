#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>

#include "error.h"
#include "random.h"

namespace previt {

/// Answers with recorded draws, in order. Throws Error where another kind or range is asked for.
/// Rows, float64 [N, 4]: kind (0 real, 1 whole), low, high, value.
class ReplayedDraws final : public Draws {
 public:
  explicit ReplayedDraws(const at::Tensor& rows) : rows_(rows.contiguous()) {}

  double uniform(double low, double high) override { return next(0, low, high); }
  int64_t integer(int64_t low, int64_t high) override {
    return std::llround(next(1, static_cast<double>(low), static_cast<double>(high)));
  }
  double normal(double, double) override {
    fail("a normal number was asked for, none is recorded");
  }
  double beta(double, double) override { fail("a beta number was asked for, none is recorded"); }

  bool finished() const { return at_ == rows_.size(0); }

 private:
  double next(double kind, double low, double high) {
    require(!finished(), "draw {} was not recorded", at_);
    const double* row = rows_.data_ptr<double>() + 4 * at_++;
    const auto near = [](double a, double b) {
      return std::abs(a - b) <= 1e-6 * (1 + std::abs(b));
    };
    require(row[0] == kind && near(low, row[1]) && near(high, row[2]),
            "draw {}: asked for kind {} in [{}, {}), recorded was kind {} in [{}, {})",
            at_ - 1,
            kind,
            low,
            high,
            row[0],
            row[1],
            row[2]);
    return row[3];
  }

  at::Tensor rows_;
  int64_t at_ = 0;
};

}  // namespace previt
