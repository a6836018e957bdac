#include "levels/levels.h"
#include "models/kernels/loops/columns.h"
#include "models/kernels/loops/gelu.h"
#include "models/kernels/loops/scale.h"

using namespace previt;
using namespace previt::loops;

namespace {

double normal_cdf(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }
double gelu(double x) { return x * normal_cdf(x); }
double gelu_derivative(double x) {
  return normal_cdf(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
}

}  // namespace

TEMPLATE_TEST_CASE("a bias goes to every row", "", float, Bf16) {
  constexpr int64_t rows = 3;
  for (const int64_t n : kSizes) {
    INFO(n << " columns");
    Numbers numbers(1);
    const auto y = numbers.many<TestType>(rows * n);
    const auto bias = numbers.many<float>(n);
    std::vector<double> want;
    for (int64_t i = 0; i < rows * n; ++i) want.push_back(value(y[i]) + bias[i % n]);
    at_each_level([&] {
      Fenced<TestType> out(y);
      add_bias_rows(out.data(), bias.data(), rows, n);
      CHECK(error(out.taken(), want) < 5e-7);
    });
  }
}

TEMPLATE_TEST_CASE("columns are summed and multiplied between two of them", "", float, Bf16) {
  const bool multiplied = GENERATE(false, true);
  const int64_t rows = GENERATE(1, 7);
  for (const int64_t n : kSizes) {
    const int64_t stride = n + 5, begin = n / 3, end = n - n / 4;
    INFO(rows << " rows, columns " << begin << " to " << end << ", multiplied: " << multiplied);
    Numbers numbers(2);
    const auto a = numbers.many<TestType>(rows * stride), b = numbers.many<TestType>(rows * stride);
    const auto out = numbers.many<TestType>(rows * stride);
    const auto sums = numbers.many<float>(stride);
    std::vector<double> want_out, want_sums(sums.begin(), sums.end());
    for (int64_t i = 0; i < rows * stride; ++i) {
      const int64_t c = i % stride;
      const bool taken = c >= begin && c < end;
      const double product = multiplied ? value(a[i]) * value(b[i]) : value(a[i]);
      want_out.push_back(multiplied && taken ? product : value(out[i]));
      if (taken) want_sums[c] += product;
    }
    at_each_level([&] {
      Fenced<TestType> o(out);
      Fenced<float> s(sums);
      sum_columns(a.data(),
                  multiplied ? b.data() : nullptr,
                  multiplied ? o.data() : nullptr,
                  s.data(),
                  rows,
                  stride,
                  begin,
                  end);
      CHECK(error(o.taken(), want_out) < 5e-7);
      CHECK(error(s.taken(), want_sums) < 5e-6);
    });
  }
}

TEST_CASE("parts are summed in float") {
  const int64_t count = GENERATE(1, 5);
  for (const int64_t n : kSizes) {
    const int64_t stride = n + 3, begin = n / 5, end = n - n / 6;
    INFO(count << " parts, elements " << begin << " to " << end);
    Numbers numbers(3);
    const auto parts = numbers.many<Bf16>(count * stride);
    const auto y = numbers.many<float>(n);
    std::vector<double> want(y.begin(), y.end());
    for (int64_t i = begin; i < end; ++i) {
      want[i] = 0;
      for (int64_t p = 0; p < count; ++p) want[i] += value(parts[p * stride + i]);
    }
    at_each_level([&] {
      Fenced<float> out(y);
      sum_parts(parts.data(), count, stride, out.data(), begin, end);
      CHECK(error(out.taken(), want) < 2e-6);
    });
  }
}

TEMPLATE_TEST_CASE("a branch is scaled and added", "", float, Bf16) {
  const double factor = GENERATE(1., -0.37);
  for (const int64_t n : kSizes) {
    INFO(n << " values times " << factor);
    Numbers numbers(4);
    const auto x = numbers.many<float>(n);
    const auto branch = numbers.many<TestType>(n);
    std::vector<double> sum, product;
    for (int64_t i = 0; i < n; ++i) {
      sum.push_back(x[i] + value(branch[i]) * factor);
      product.push_back(x[i] * factor);
    }
    at_each_level([&] {
      Fenced<float> added(n);
      add_scaled_span(x.data(), branch.data(), static_cast<float>(factor), added.data(), n);
      CHECK(error(added.taken(), sum) < 5e-7);
      Fenced<TestType> scaled(n);
      scaled_span(x.data(), static_cast<float>(factor), scaled.data(), n);
      CHECK(error(scaled.taken(), product) < 5e-7);
    });
  }
}

TEST_CASE("gelu and its derivative are those of the error function") {
  constexpr int64_t rows = 3;
  const bool both = GENERATE(false, true);
  for (const int64_t n : kSizes) {
    INFO(n << " columns, derivative: " << both);
    Numbers numbers(5);
    auto x = numbers.many<float>(rows * n, 3);
    const auto bias = numbers.many<float>(n);
    // The tails, and what must not become a number.
    const float special[]{-100, 100, -1e30f, 1e30f, NAN, 0, 6, -6, 1e-4f};
    for (int64_t i = 0; i < rows * n && i < std::ssize(special); ++i) x[i] = special[i];
    std::vector<double> want, want_derivative;
    for (int64_t i = 0; i < rows * n; ++i) {
      const float v = x[i] + bias[i % n];
      want.push_back(gelu(v));
      want_derivative.push_back(gelu_derivative(v));
    }
    at_each_level([&] {
      Fenced<float> y(rows * n), d(rows * n);
      gelu_rows(x.data(), bias.data(), y.data(), both ? d.data() : nullptr, rows, n);
      CHECK(error(y.taken(), want) < 1e-6);
      if (both) CHECK(error(d.taken(), want_derivative) < 1e-6);
    });
  }
}

TEST_CASE("gelu in bfloat16 is looked up in its table") {
  // Any table shows which of its entries were read.
  std::vector<uint32_t> table(65536);
  for (uint32_t i = 0; i < table.size(); ++i) table[i] = i * 2654435761u;
  constexpr int64_t rows = 2;
  const bool both = GENERATE(false, true);
  const Lookup way = GENERATE(Lookup::single, Lookup::gathered);
  for (const int64_t n : {1, 15, 16, 17, 100, 256, 300}) {
    INFO(n << " columns, derivative: " << both << ", gathered: " << (way == Lookup::gathered));
    Numbers numbers(6);
    const auto x = numbers.many<Bf16>(rows * n);
    const auto bias = numbers.many<float>(n);
    std::vector<Bf16> want, want_derivative;
    for (int64_t i = 0; i < rows * n; ++i) {
      const float v = static_cast<float>(value(x[i])) + bias[i % n];
      const uint32_t entry = table[rounded<Bf16>(v).bits];
      want.push_back({static_cast<uint16_t>(entry)});
      want_derivative.push_back({static_cast<uint16_t>(both ? entry >> 16 : 0)});
    }
    at_each_level([&] {
      Fenced<Bf16> y(rows * n), d(rows * n);
      gelu_lookup_rows(
          table.data(), x.data(), bias.data(), y.data(), both ? d.data() : nullptr, rows, n, way);
      CHECK(same_bits(y.taken(), want));
      CHECK(same_bits(d.taken(), want_derivative));
    });
  }
}
