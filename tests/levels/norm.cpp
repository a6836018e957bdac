#include "models/kernels/loops/norm.h"

#include "levels/levels.h"

using namespace previt;
using namespace previt::loops;

namespace {

constexpr double kEps = 1e-5;

struct Moments {
  double mean, scale;  // scale: 1/σ
};

template <class X>
Moments moments_of(const X* x, int64_t n) {
  double mean = 0, variance = 0;
  for (int64_t c = 0; c < n; ++c) mean += value(x[c]) / n;
  for (int64_t c = 0; c < n; ++c) variance += std::pow(value(x[c]) - mean, 2) / n;
  return {mean, 1 / std::sqrt(variance + kEps)};
}

// Σ dy · LayerNorm(x), of which the gradients are taken.
template <class Y>
double loss(const std::vector<double>& x, const std::vector<float>& weight, const Y* dy) {
  const Moments m = moments_of(x.data(), std::ssize(x));
  double sum = 0;
  for (size_t c = 0; c < x.size(); ++c) {
    sum += value(dy[c]) * (x[c] - m.mean) * m.scale * weight[c];
  }
  return sum;
}

// Its gradient with respect to a row of x, by differences.
template <class X, class Y>
std::vector<double> gradient(const X* x, const std::vector<float>& weight, const Y* dy) {
  std::vector<double> row, result;
  for (size_t c = 0; c < weight.size(); ++c) row.push_back(value(x[c]));
  constexpr double step = 1e-5;
  for (double& at : row) {
    const double before = at;
    at = before + step;
    const double above = loss(row, weight, dy);
    at = before - step;
    result.push_back((above - loss(row, weight, dy)) / (2 * step));
    at = before;
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("LayerNorm",
                   "",
                   (std::pair<float, float>),
                   (std::pair<float, Bf16>),
                   (std::pair<Bf16, float>),
                   (std::pair<Bf16, Bf16>)) {
  using X = typename TestType::first_type;
  using Y = typename TestType::second_type;
  constexpr int64_t rows = 3;
  for (const int64_t n : kSizes) {
    INFO(n << " columns");
    Numbers numbers(7);
    const auto x = numbers.many<X>(rows * n, 3, 2);
    const auto weight = numbers.many<float>(n), bias = numbers.many<float>(n);
    std::vector<double> want, want_moments;
    for (int64_t i = 0; i < rows * n; ++i) {
      const Moments m = moments_of(x.data() + i / n * n, n);
      want.push_back((value(x[i]) - m.mean) * m.scale * weight[i % n] + bias[i % n]);
      if (i % n == 0) want_moments.insert(want_moments.end(), {m.mean, m.scale});
    }
    // A row of one value has no deviation: 1/σ is 316, and its mean may be off by a bit.
    at_each_level([&] {
      Fenced<Y> y(rows * n);
      Fenced<float> moments(rows * 2);
      norm_rows(x.data(), weight.data(), bias.data(), kEps, rows, n, y.data(), moments.data());
      CHECK(error(y.taken(), want) < 4e-6);
      CHECK(error(moments.taken(), want_moments) < 1e-4);
    });
  }
}

TEST_CASE("LayerNorm of values that lie far from zero") {
  constexpr int64_t n = 100;
  Numbers numbers(8);
  const auto x = numbers.many<float>(n, 1, 1000);
  const std::vector<float> ones(n, 1), zeros(n);
  const Moments m = moments_of(x.data(), n);
  std::vector<double> want;
  for (const float v : x) want.push_back((v - m.mean) * m.scale);
  at_each_level([&] {
    Fenced<float> y(n), moments(2);
    norm_rows(x.data(), ones.data(), zeros.data(), kEps, 1, n, y.data(), moments.data());
    CHECK(error(y.taken(), want) < 2e-4);
  });
}

TEMPLATE_TEST_CASE("the gradients of LayerNorm",
                   "",
                   (std::pair<float, float>),
                   (std::pair<float, Bf16>),
                   (std::pair<Bf16, float>),
                   (std::pair<Bf16, Bf16>)) {
  using X = typename TestType::first_type;
  using Y = typename TestType::second_type;
  constexpr int64_t rows = 2;
  const bool with_residual = GENERATE(false, true);
  for (const int64_t n : kSizes) {
    INFO(n << " columns, residual: " << with_residual);
    Numbers numbers(9);
    const auto x = numbers.many<X>(rows * n, 3, 2), residual = numbers.many<X>(rows * n);
    const auto dy = numbers.many<Y>(rows * n);
    const auto weight = numbers.many<float>(n), sums = numbers.many<float>(2 * n);
    std::vector<double> want, want_sums(sums.begin(), sums.end());
    std::vector<float> moments;
    double steepest = 4;  // a row of one value has no deviation: 1/σ is 316
    for (int64_t r = 0; r < rows; ++r) {
      const X* row = x.data() + r * n;
      const Moments m = moments_of(row, n);
      steepest = std::max(steepest, m.scale);
      moments.push_back(static_cast<float>(m.mean));
      moments.push_back(static_cast<float>(m.scale));
      const std::vector<double> dx = gradient(row, weight, dy.data() + r * n);
      for (int64_t c = 0; c < n; ++c) {
        const int64_t i = r * n + c;
        want.push_back(dx[c] + (with_residual ? value(residual[i]) : 0));
        want_sums[c] += value(dy[i]) * (value(x[i]) - m.mean) * m.scale;
        want_sums[n + c] += value(dy[i]);
      }
    }
    at_each_level([&] {
      Fenced<X> dx(rows * n);
      Fenced<float> s(sums);
      norm_backward_rows(x.data(),
                         dy.data(),
                         weight.data(),
                         moments.data(),
                         rows,
                         n,
                         with_residual ? residual.data() : nullptr,
                         dx.data(),
                         s.data());
      CHECK(error(dx.taken(), want) < 5e-7 * steepest);
      CHECK(error(s.taken(), want_sums) < 2e-6);
    });
  }
}
