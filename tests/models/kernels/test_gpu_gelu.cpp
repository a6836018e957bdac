// GELU of a product and a bias on a GPU, on a machine without one: its code run as C++ against
// formulas in double. What needs a GPU runs where one is under test.
#include <c10/core/DeviceGuard.h>

#include "gpu_launch.h"
#include "gpu_program.h"
#include "models/kernels/emulated_numbers.h"
#include "models/kernels/gpu_gelu.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "support/plain_kernels.h"
#include "support/test_device.h"
// The kernels themselves.
#include "models/kernels/gelu.cu"

using namespace previt;
using namespace previt::test;
using previt_gpu::Bf16;

namespace {

double cdf(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }
double density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); }

// The kernels' results for a product [rows, kWidth], and the formulas'.
template <class T, int kWidth>
struct Computed {
  static constexpr int kColumns = gpu_gelu_columns(kWidth, sizeof(T));

  Computed(Numbers<T>& product, Numbers<float>& bias, Numbers<T>& dy)
      : rows(static_cast<int64_t>(product.size() / kWidth)),
        shares(rows, kWidth, std::is_same_v<T, float> ? torch::kFloat : torch::kBFloat16),
        y(product.size()),
        dproduct(product.size()),
        sums(static_cast<size_t>(shares.backward_parts) * kWidth),
        dbias(kWidth) {
    run_emulated(blocks(shares.parts), GpuProgram::kThreads, [&] {
      previt_gpu::bias_gelu<T, kWidth, kColumns>(
          product.data(), bias.data(), rows, shares.parts, y.data());
    });
    run_emulated(blocks(shares.backward_parts), GpuProgram::kThreads, [&] {
      previt_gpu::bias_gelu_backward<T, kWidth, kColumns>(product.data(),
                                                          bias.data(),
                                                          dy.data(),
                                                          rows,
                                                          shares.backward_parts,
                                                          dproduct.data(),
                                                          sums.data());
    });
    for (size_t i = 0; i < product.size(); ++i) {
      const double x = product[i] + bias[i % kWidth];
      y_expected.push_back(x * cdf(x));
      dproduct_expected.push_back(dy[i] * (cdf(x) + x * density(x)));
      dbias_expected[i % kWidth] += dproduct_expected.back();
    }
    for (size_t i = 0; i < kWidth; ++i) {
      double sum = 0;
      for (size_t at = i; at < sums.size(); at += kWidth) sum += sums[at];
      dbias.data()[i] = static_cast<float>(sum);
    }
  }
  unsigned blocks(int64_t parts) const { return GpuProgram::blocks_of(shares.stripes * parts); }

  int64_t rows;
  GeluShares shares;
  Numbers<T> y, dproduct;
  Numbers<float> sums, dbias;
  std::vector<double> y_expected, dproduct_expected;
  std::vector<double> dbias_expected = std::vector<double>(kWidth);
};

template <class T, int kWidth>
void check_gelu(size_t rows) {
  INFO(rows << " rows of " << kWidth << ", " << sizeof(T) << " bytes");
  std::mt19937 random(11);
  Numbers<T> product(rows * kWidth, random, 2), dy(rows * kWidth, random);
  Numbers<float> bias(kWidth, random);
  const Computed<T, kWidth> got(product, bias, dy);
  CHECK(apart(got.y, got.y_expected) < 1.01);
  CHECK(apart(got.dproduct, got.dproduct_expected) < 1.01);
  CHECK(got.sums.kept_to_its_place());
  CHECK(apart(got.dbias, got.dbias_expected) < 1);
}

template <class T, int... kWidths>
void check_widths(std::integer_sequence<int, kWidths...>) {
  for (const size_t rows : {7, 50, 197}) (check_gelu<T, kWidths>(rows), ...);
  check_gelu<T, 256>(1);
}

// Single numbers, and stripes that are whole, that aren't, and several of them.
using Widths = std::integer_sequence<int, 1, 5, 66, 100, 256, 1000, 1536>;

}  // namespace

TEST_CASE("a GPU's bias and GELU give the formulas' numbers and gradients") {
  check_widths<float>(Widths());
  check_widths<Bf16>(Widths());
}

TEST_CASE("a GPU's GELU is exact far from zero and beside it") {
  constexpr int kWidth = 20;
  std::vector<float> special = {NAN, INFINITY};
  for (const float x : {0.F, 1e-30F, 1e-3F, 2.F, 4.F, 6.F, 12.F, 1e5F, 1e30F}) {
    special.insert(special.end(), {x, -x});
  }
  REQUIRE(special.size() == kWidth);
  Numbers<float> product(kWidth), bias(kWidth), dy(kWidth);
  for (size_t i = 0; i < kWidth; ++i) {
    product.data()[i] = special[i];
    bias.data()[i] = 0;
    dy.data()[i] = 1;
  }
  const Computed<float, kWidth> got(product, bias, dy);
  for (size_t i = 2; i < kWidth; ++i) {
    INFO("at " << special[i]);
    // Below zero it shrinks with the distribution's tail.
    const double rounding = 4e-7 * std::abs(special[i]), own = 0.05 * std::abs(got.y_expected[i]);
    const double tolerance = special[i] < 0 ? std::min(rounding, own) : rounding;
    CHECK(std::abs(got.y[i] - got.y_expected[i]) <= tolerance);
    CHECK(std::abs(got.dproduct[i] - got.dproduct_expected[i]) < 4e-7);
  }
  CHECK(std::isnan(got.y[0]));
  CHECK(std::isnan(got.dproduct[0]));
  CHECK(got.y[1] == INFINITY);
}

TEST_CASE("a GPU's warps share out all of a product, with few sums") {
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    for (const int64_t width : {1, 5, 100, 768, 3072, 5120, 5001}) {
      const int columns = gpu_gelu_columns(width, c10::elementSize(type));
      CHECK(width % columns == 0);
      CHECK(columns * c10::elementSize(type) <= 16);
      for (const int64_t rows : {1, 8, 33, 197, 4096, 1 << 20}) {
        const GeluShares shares(rows, width, type);
        CHECK(shares.stripes == (width + 32 * columns - 1) / (32 * columns));
        for (const int64_t parts : {shares.parts, shares.backward_parts}) {
          CHECK(parts >= 1);
          CHECK(parts <= rows);
        }
        CHECK(shares.backward_parts * 16 <= std::max<int64_t>(rows, 16));
        CHECK(shares.backward_parts * shares.stripes <= std::max<int64_t>(4096, shares.stripes));
      }
    }
  }
  CHECK(gpu_gelu_columns(3072, 2) == 8);
  CHECK(gpu_gelu_columns(3072, 4) == 4);
}

TEST_CASE("without a GPU, GELU is LibTorch's or the CPU's") {
  CHECK(gpu_gelu_program(at::kCPU, torch::kBFloat16, 3072) == nullptr);
}

TEST_CASE("GELU of a layer on the device under test is LibTorch's on the CPU") {
  torch::manual_seed(12);
  const Operation operation = [](const auto& t) { return linear_gelu(t[0], t[1], t[2]); };
  const std::vector<at::Tensor> inputs = {
      torch::randn({3, 50, 48}), torch::randn({768, 48}) / 7, torch::randn({768})};
  check_against_plain(operation, inputs);
  const at::Device device = test_device();
  const at::Tensor none =
      linear_gelu(torch::randn({0, 50, 48}).to(device), inputs[1].to(device), inputs[2].to(device));
  CHECK(none.sizes() == at::IntArrayRef({0, 50, 768}));
}

// Whether or not it is the faster one there.
TEST_CASE("on a GPU under test, our GELU is LibTorch's for all widths, strides and places") {
  const at::Device device = numbered(test_device());
  if (!device.is_cuda()) return;
  const c10::DeviceGuard guard(device);
  torch::manual_seed(13);
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    for (const int64_t width : {5, 66, 100, 768, 3072}) {
      INFO(type << ", rows of " << width);
      const GpuProgram program(device.index(), kGpuGeluSource, gpu_gelu_defines(type, width));
      // Product and bias begin beside multiples of 16 bytes; y's gradient lies in columns.
      const Operation ours = [&](const auto& t) {
        const at::Tensor product = t[0].to(type).slice(0, 1).view({-1, width});
        return gpu_bias_gelu(program, product, t[1].slice(0, 1)).t();
      };
      const Operation theirs = [&](const auto& t) {
        return torch::gelu(t[0].slice(0, 1).view({-1, width}) + t[1].slice(0, 1)).t();
      };
      const std::vector<at::Tensor> inputs = {torch::randn({1 + 197 * width}),
                                              torch::randn({1 + width})};
      const auto got = results(ours, inputs, type, false, device);
      const auto expected = results(theirs, inputs, torch::kFloat, true, torch::kCPU);
      for (size_t i = 0; i < expected.size(); ++i) {
        CHECK(distance(got[i], expected[i]) < (type == torch::kFloat ? 1e-5 : 1e-2));
      }
    }
  }
}
