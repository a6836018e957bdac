#include "levels/levels.h"
#include "models/kernels/loops/heads.h"

using namespace previt;
using namespace previt::loops;

namespace {

enum class Bias { kNone, kNumbers, kMasked, kAllMasked };

// A row of n logits in memory for `padded`, and what is added to them.
struct Row {
  Row(int64_t count, Bias kind) : n(count), padded(up(count, simd::kLanes)) {
    Numbers numbers(11);
    logits = numbers.many<float>(n, 4);
    logits.resize(padded, NAN);  // nothing may depend on what lies there
    if (kind == Bias::kNone) return;
    bias = numbers.many<float>(n);
    for (int64_t c = 0; c < n; ++c) {
      const bool masked = kind == Bias::kMasked && c % 3 == 1;
      if (masked || kind == Bias::kAllMasked) bias[c] = -INFINITY;
    }
  }
  const float* bias_data() const { return bias.empty() ? nullptr : bias.data(); }
  double logit(int64_t c) const { return logits[c] * kScale + (bias.empty() ? 0 : bias[c]); }

  static constexpr float kScale = 0.7f;
  int64_t n, padded;
  std::vector<float> logits, bias;
};

}  // namespace

TEMPLATE_TEST_CASE("a row's softmax before its division", "", float, Bf16) {
  const Bias kind = GENERATE(Bias::kNone, Bias::kNumbers, Bias::kMasked, Bias::kAllMasked);
  for (const int64_t n : kSizes) {
    INFO(n << " logits, bias " << static_cast<int>(kind));
    const Row row(n, kind);
    double top = -1e30f, sum = 0;
    for (int64_t c = 0; c < n; ++c) top = std::max(top, row.logit(c));
    const int64_t padded = row.padded + simd::kLanes;
    std::vector<double> want(padded);
    for (int64_t c = 0; c < n; ++c) sum += want[c] = std::exp(row.logit(c) - top);
    at_each_level([&] {
      Fenced<float> scratch(padded);
      Fenced<TestType> p(padded);
      float row_max = NAN;
      const float got = softmax_row(row.logits.data(),
                                    row.bias_data(),
                                    Row::kScale,
                                    n,
                                    padded,
                                    scratch.data(),
                                    p.data(),
                                    &row_max);
      scratch.taken();
      CHECK(error(p.taken(), want) < 2e-6);
      CHECK(error<float>({got, row_max}, {sum, top}) < 1e-5);
    });
  }
}

TEST_CASE("a row's softmax may use its own memory") {
  for (const int64_t n : kSizes) {
    const Row row(n, Bias::kNumbers);
    at_each_level([&] {
      std::vector<float> scratch(row.padded), apart(row.padded), together(row.padded);
      const auto run = [&](float* memory, std::vector<float>& p) {
        float top;
        return softmax_row(
            row.logits.data(), row.bias_data(), Row::kScale, n, row.padded, memory, p.data(), &top);
      };
      CHECK(run(scratch.data(), apart) == run(together.data(), together));
      CHECK(same_bits(together, apart));
    });
  }
}

TEST_CASE("a logit that is no number makes its row's sum none") {
  at_each_level([] {
    for (const uint32_t bits : {0x7fc00000u, 0x7fc00001u, 0xffc001ffu}) {
      std::vector<float> logits(16), scratch(16);
      std::vector<Bf16> p(16);
      std::memcpy(&logits[2], &bits, sizeof bits);
      float row_max;
      CHECK(std::isnan(
          softmax_row(logits.data(), nullptr, 1, 5, 16, scratch.data(), p.data(), &row_max)));
      CHECK(std::isnan(value(p[2])));
    }
  });
}

TEST_CASE("the gradient of a row's softmax") {
  const Bias kind = GENERATE(Bias::kNone, Bias::kNumbers, Bias::kMasked);
  const bool of_bias = GENERATE(false, true);
  for (const int64_t n : kSizes) {
    INFO(n << " logits, bias " << static_cast<int>(kind) << ", its gradient: " << of_bias);
    const Row row(n, kind);
    Numbers numbers(12);
    const auto dp = numbers.many<float>(row.padded);
    const auto dbias = numbers.many<float>(n);
    double sum = 0, delta = 0;
    for (int64_t c = 0; c < n; ++c) sum += std::exp(row.logit(c));
    // Everything masked: any finite number will do.
    const auto log_sum = static_cast<float>(sum > 0 ? std::log(sum) : 0);
    std::vector<double> want_p, want_ds, want_dbias;
    for (int64_t c = 0; c < n; ++c) {
      want_p.push_back(std::exp(row.logit(c) - log_sum));
      delta += want_p[c] * dp[c];
    }
    for (int64_t c = 0; c < n; ++c) {
      want_ds.push_back(want_p[c] * (dp[c] - delta));
      want_dbias.push_back(dbias[c] + (of_bias ? want_ds[c] : 0));
    }
    at_each_level([&] {
      Fenced<float> p(row.logits), ds(dp), db(dbias);
      softmax_backward_row(p.data(),
                           row.bias_data(),
                           Row::kScale,
                           log_sum,
                           n,
                           ds.data(),
                           of_bias ? db.data() : nullptr);
      std::vector<float> got_p = p.taken(), got_ds = ds.taken();
      got_p.resize(n);
      got_ds.resize(n);
      CHECK(error(got_p, want_p) < 2e-6);
      CHECK(error(got_ds, want_ds) < 4e-6);
      CHECK(error(db.taken(), want_dbias) < 4e-6);
    });
  }
}

TEST_CASE("the loops' exponential is precise to a few bits from -87 to 88") {
  std::vector<float> x{-INFINITY, -1e30f, -200, -88, 0};
  const int64_t outside = std::ssize(x) - 1;
  for (float at = -87; at <= 88; at += 0.37f) x.push_back(at);
  const int64_t n = std::ssize(x);
  x.resize(up(n, simd::kLanes));
  const std::vector<float> dp(x.size());
  at_each_level([&] {
    std::vector<float> y = x, zeros = dp;
    softmax_backward_row(y.data(), nullptr, 1, 0, n, zeros.data(), nullptr);
    double worst = 0;
    for (int64_t i = outside; i < n; ++i) {
      const double want = std::exp(value(x[i]));
      worst = std::max(worst, std::abs(y[i] - want) / want);
    }
    CHECK(worst < 1e-7);
    CHECK(std::all_of(y.begin(), y.begin() + outside, [](float v) { return v == 0; }));
  });
}

TEMPLATE_TEST_CASE("a row is scaled", "", float, Bf16) {
  for (const int64_t n : kSizes) {
    INFO(n << " values");
    Numbers numbers(13);
    const auto x = numbers.many<float>(n);
    std::vector<double> want;
    for (const float v : x) want.push_back(v * 0.3f);
    at_each_level([&] {
      Fenced<TestType> out(n);
      scale_row(x.data(), 0.3f, n, out.data());
      CHECK(error(out.taken(), want) < 1e-7);
    });
  }
}
