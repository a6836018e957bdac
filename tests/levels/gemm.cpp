#include "models/kernels/loops/gemm.h"

#include "levels/levels.h"
#include "models/kernels/loops/float_gemm.h"
#include "models/kernels/loops/float_panels.h"

using namespace previt;
using namespace previt::loops;

namespace {

// Element (i, p) of a matrix [m, k] of floats, or of its transpose.
struct Matrix {
  Matrix(int64_t m, int64_t k, bool transposed, uint32_t seed)
      : row(transposed ? 1 : k + 5), column(transposed ? m + 5 : 1) {
    data = Numbers(seed).many<float>((m - 1) * row + (k - 1) * column + 1);
  }
  double at(int64_t i, int64_t p) const { return data[i * row + p * column]; }
  int64_t row, column;
  std::vector<float> data;
};

// A B + `before` in rows `ldc` apart, of which the last columns stay as they were.
std::vector<double> product(
    const Matrix& a, const Matrix& b, int64_t m, int64_t n, int64_t k, int64_t ldc, double before) {
  std::vector<double> c(m * ldc, 7);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = before;
      for (int64_t p = 0; p < k; ++p) sum += a.at(i, p) * b.at(p, j);
      c[i * ldc + j] = sum;
    }
  }
  return c;
}

// All leading dimensions are larger than they must be, and what lies between stays as it is.
void check_product(int64_t m, int64_t n, int64_t k) {
  INFO(m << " x " << n << " x " << k);
  const int64_t lda = k + 6, ldb = n + 5, ldc = n + 3;
  Numbers numbers(10);
  const auto a = numbers.many<Bf16>(m * lda), b = numbers.many<Bf16>(k * n);
  std::vector<uint32_t> pairs(k / 2 * ldb, 0x7fc07fc0);  // NaN beside the values
  for (int64_t p = 0; p < k; p += 2) {
    for (int64_t j = 0; j < n; ++j) {
      pairs[p / 2 * ldb + j] = b[p * n + j].bits | uint32_t{b[(p + 1) * n + j].bits} << 16;
    }
  }
  std::vector<double> want(m * ldc, 7);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += value(a[i * lda + p]) * value(b[p * n + j]);
      want[i * ldc + j] = sum;
    }
  }
  Fenced<float> c(std::vector<float>(m * ldc, 7));
  const GemmScope scope(cpu_level());
  small_gemm(cpu_level())({a.data(), lda, pairs.data(), ldb, c.data(), ldc, m, n, k});
  CHECK(error(c.taken(), want) < 1e-6 * k);
}

}  // namespace

TEST_CASE("small matmuls in bfloat16 sum in float") {
  at_each_level([] {
    const TileMultiples tiles = tile_multiples(cpu_level());
    for (const int64_t rows : {1, 2, 3}) {
      for (const int64_t n : {16, 32, 48, 112}) {
        for (const int64_t inner : {1, 2, 5}) {
          check_product(rows * tiles.rows, n, inner * tiles.inner);
        }
      }
    }
    check_product(32, 64, 224);
  });
}

TEST_CASE("small matmuls of floats, of a transpose too, and added to what is there") {
  const bool transposed = GENERATE(false, true), add = GENERATE(false, true);
  for (const int64_t m : {1, 5, 12, 25}) {
    for (const int64_t n : {16, 48, 80, 112}) {
      for (const int64_t k : {1, 3, 40}) {
        INFO(m << " x " << n << " x " << k << ", transposed: " << transposed << ", add: " << add);
        const Matrix a(m, k, transposed, 20), b(k, n, false, 21);
        const int64_t ldc = n + 3;
        const auto want = product(a, b, m, n, k, ldc, add ? 7 : 0);
        at_each_level([&] {
          Fenced<float> c(std::vector<float>(m * ldc, 7));
          float_gemm(
              {a.data.data(), a.row, a.column}, b.data.data(), b.row, c.data(), ldc, m, n, k, add);
          CHECK(error(c.taken(), want) < 1e-5);
        });
      }
    }
  }
}

TEST_CASE("matmuls of floats of any size and order") {
  const bool a_transposed = GENERATE(false, true), b_transposed = GENERATE(false, true);
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1},
                                {1, 100, 17},
                                {3, 15, 16},
                                {16, 33, 3},
                                {25, 31, 100},
                                {13, 40, 300},
                                {50, 17, 513}}) {
    INFO(m << " x " << n << " x " << k << ", transposed: " << a_transposed << b_transposed);
    const Matrix a(m, k, a_transposed, 22), b(k, n, b_transposed, 23);
    const int64_t ldc = n + 3;
    const auto want = product(a, b, m, n, k, ldc, 0);
    at_each_level([&, m = m, n = n, k = k] {
      Fenced<float> c(std::vector<float>(m * ldc, 7));
      float_panels({a.data.data(), a.row, a.column},
                   {b.data.data(), b.row, b.column},
                   c.data(),
                   ldc,
                   m,
                   n,
                   k);
      CHECK(error(c.taken(), want) < 2e-7 * (k + 50));
    });
  }
}
