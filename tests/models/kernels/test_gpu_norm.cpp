// The kernels of a GPU on a machine without one: their code run as C++ against formulas in double.
#include "gpu_program.h"
#include "models/kernels/emulated_numbers.h"
#include "models/kernels/gpu_norm.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "support/plain_kernels.h"
#include "support/test_device.h"
// The kernels themselves.
#include "models/kernels/norm.cu"

using namespace previt;
using namespace previt::test;
using previt_gpu::Bf16;

namespace {

struct Row {
  double mean = 0, inverse = 0;
};

constexpr float kEps = 1e-3F;

// The formulas.
struct Expected {
  std::vector<double> stream, y, dx, dw, db;
  std::vector<Row> rows;
};

template <class X, class Branch, class W, class Dy>
Expected expected_of(const X& x,
                     const Branch* branch,
                     const W& w,
                     const W& b,
                     const Dy& dy,
                     const X* dstream,
                     size_t width) {
  const size_t count = x.size() / width;
  const auto n = static_cast<double>(width);
  Expected e;
  e.dw.resize(width);
  e.db.resize(width);
  for (size_t row = 0; row < count; ++row) {
    std::vector<double> v(width), normed(width);
    Row r;
    for (size_t i = 0; i < width; ++i) {
      const size_t at = row * width + i;
      v[i] = x[at] + (branch == nullptr ? 0 : (*branch)[at]);
      r.mean += v[i] / n;
    }
    double variance = 0, sum = 0, product = 0;
    for (const double a : v) variance += (a - r.mean) * (a - r.mean) / n;
    r.inverse = 1 / std::sqrt(variance + static_cast<double>(kEps));
    for (size_t i = 0; i < width; ++i) {
      const double g = dy[row * width + i];
      normed[i] = (v[i] - r.mean) * r.inverse;
      e.dw[i] += g * normed[i];
      e.db[i] += g;
      sum += g * w[i] / n;
      product += g * w[i] * normed[i] / n;
    }
    for (size_t i = 0; i < width; ++i) {
      const size_t at = row * width + i;
      e.stream.push_back(v[i]);
      e.y.push_back(normed[i] * w[i] + b[i]);
      e.dx.push_back(r.inverse * (dy[at] * w[i] - sum - normed[i] * product) +
                     (dstream == nullptr ? 0 : (*dstream)[at]));
    }
    e.rows.push_back(r);
  }
  return e;
}

// What the warps of a backward pass left, added up: row 0 of each is the weight's, row 1 the bias's.
template <int kWidth>
Numbers<float> total(const Numbers<float>& sums, size_t row) {
  Numbers<float> whole(kWidth);
  for (size_t i = 0; i < kWidth; ++i) {
    double sum = 0;
    for (size_t at = row * kWidth + i; at < sums.size(); at += 2 * kWidth) sum += sums[at];
    whole.data()[i] = static_cast<float>(sum);
  }
  return whole;
}

template <class T, int kWidth>
void check_norm(size_t rows, bool with_branch, bool with_stream) {
  INFO(rows << " rows of " << kWidth << ", " << sizeof(T) << " bytes, branch " << with_branch
            << ", stream's gradient " << with_stream);
  std::mt19937 random(7);
  const size_t count = rows * kWidth;
  Numbers<float> x(count, random, 3), w(kWidth, random), b(kWidth, random), dstream(count, random);
  Numbers<T> branch(count, random), dy(count, random);
  const Expected e = expected_of(
      x, with_branch ? &branch : nullptr, w, b, dy, with_stream ? &dstream : nullptr, kWidth);

  Numbers<float> stream(count), moments(2 * rows), dx(count);
  Numbers<T> y(count), dbranch(count);
  const auto all = static_cast<long long>(rows);
  run_emulated(static_cast<unsigned>((rows + 3) / 4), GpuProgram::kThreads, [&] {
    previt_gpu::add_norm<T, kWidth>(x.data(),
                                    with_branch ? branch.data() : nullptr,
                                    w.data(),
                                    b.data(),
                                    kEps,
                                    all,
                                    stream.data(),
                                    y.data(),
                                    moments.data());
  });
  CHECK(apart(y, e.y) < 1.01);
  if (with_branch) {
    CHECK(apart(stream, e.stream) < 1);
  } else {
    CHECK(apart(stream, std::vector<double>(count, Numbers<float>::kUntouched)) == 0);
  }
  std::vector<double> means_and_deviations;
  for (const Row& r : e.rows) {
    means_and_deviations.push_back(r.mean);
    means_and_deviations.push_back(r.inverse);
  }
  CHECK(apart(moments, means_and_deviations) < 1);

  const auto warps = static_cast<size_t>(gpu_norm_warps(all));
  Numbers<float> sums(warps * 2 * kWidth);
  run_emulated(static_cast<unsigned>(warps) / GpuProgram::kWarps, GpuProgram::kThreads, [&] {
    previt_gpu::add_norm_backward<T, kWidth>((with_branch ? stream : x).data(),
                                             dy.data(),
                                             w.data(),
                                             moments.data(),
                                             with_stream ? dstream.data() : nullptr,
                                             all,
                                             dx.data(),
                                             with_branch ? dbranch.data() : nullptr,
                                             sums.data());
  });
  CHECK(apart(dx, e.dx) < 1);
  if (with_branch) CHECK(apart(dbranch, e.dx) < 1.01);
  CHECK(sums.kept_to_its_place());
  CHECK(apart(total<kWidth>(sums, 0), e.dw) < 2);
  CHECK(apart(total<kWidth>(sums, 1), e.db) < 2);
  CHECK(!warp.torn);
}

template <class T, int... kWidths>
void check_widths(std::integer_sequence<int, kWidths...>) {
  for (const size_t rows : {1, 3, 197}) {
    (check_norm<T, kWidths>(rows, true, true), ...);
    (check_norm<T, kWidths>(rows, false, true), ...);
    (check_norm<T, kWidths>(rows, true, false), ...);
  }
}

using Widths = std::integer_sequence<int, 4, 192, 384, 768, 1000, 1024, 1280>;

}  // namespace

TEST_CASE("a GPU's residual and LayerNorm give the formulas' numbers and gradients") {
  check_widths<float>(Widths());
  check_widths<Bf16>(Widths());
}

TEST_CASE("a GPU's kernels round to bfloat16 as LibTorch does") {
  std::mt19937 random(3);
  for (int i = 0; i < 100000; ++i) {
    // Every other one lies halfway between two, or beside that.
    const uint32_t bits = i % 2 ? random() : (random() & 0xffff0000u) | (0x7fffu + i % 3);
    const auto x = std::bit_cast<float>(bits);
    Bf16 narrow;
    previt_gpu::narrow(x, narrow);
    const float want = c10::BFloat16(x);
    const float got = previt_gpu::widened(narrow);
    if (std::isnan(x) ? !std::isnan(got) : got != want) FAIL(x << " became " << got);
  }
}

TEST_CASE("the warps of a backward pass fill blocks, and stay few") {
  for (const int64_t rows : {1, 8, 33, 197, 4096, 1 << 20}) {
    const int64_t warps = gpu_norm_warps(rows);
    CHECK(warps % GpuProgram::kWarps == 0);
    CHECK(warps >= GpuProgram::kWarps);
    CHECK(warps <= 1024);
  }
}

TEST_CASE("x + branch and its norm on the device under test are LibTorch's on the CPU") {
  torch::manual_seed(9);
  const std::vector<at::Tensor> inputs = {torch::randn({3, 197, 768}),
                                          torch::randn({3, 197, 768}),
                                          torch::randn({768}),
                                          torch::randn({768})};
  const Operation operation = [](const auto& t) {
    const auto [stream, normed] =
        add_fork_layer_norm(t[0], t[1].to(compute_type()), t[2], t[3], 1e-6);
    return stream.to(compute_type()) + normed;
  };
  const double rounding = test_device().is_cuda() ? 1e-5 : 1e-6;
  const auto expected = results(operation, inputs, torch::kFloat, true, torch::kCPU);
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const auto got = results(operation, inputs, type, false, test_device());
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO(type << ", result " << i);
      CHECK(distance(got[i], expected[i]) < (type == torch::kFloat ? rounding : 1e-2));
    }
  }
}

TEST_CASE("x + branch and its norm are those of the two steps") {
  torch::manual_seed(8);
  const at::Tensor x = torch::randn({3, 5, 12}), branch = torch::randn({3, 5, 12});
  const at::Tensor weight = torch::randn({12}), bias = torch::randn({12});
  const ComputeTypeGuard guard(torch::kBFloat16);
  const Forked both = add_fork_layer_norm(x, branch.to(torch::kBFloat16), weight, bias, 1e-6);
  const at::Tensor sum = add_residual(x, branch.to(torch::kBFloat16));
  CHECK(torch::equal(both.x, sum));
  CHECK(torch::equal(both.normed, layer_norm(sum, weight, bias, 1e-6)));
  CHECK(gpu_norm_program(x, {}, torch::kBFloat16) == nullptr);
}
