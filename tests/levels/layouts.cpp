#include "levels/levels.h"
#include "models/kernels/loops/heads.h"

using namespace previt;
using namespace previt::loops;

namespace {

uint32_t pair(Bf16 low, Bf16 high) { return low.bits | uint32_t{high.bits} << 16; }
const uint32_t* dwords(const std::vector<Bf16>& x) {
  return reinterpret_cast<const uint32_t*>(x.data());
}

// One head's rows X [n, width], `stride` apart, and zeros where there are none.
struct Head {
  Head(int64_t rows, int64_t columns)
      : n(rows), width(columns), stride(columns + 4), data(Numbers(14).many<Bf16>(rows * stride)) {}
  Bf16 at(int64_t r, int64_t c) const { return r < n && c < width ? data[r * stride + c] : Bf16{}; }
  int64_t n, width, stride;
  std::vector<Bf16> data;
};

const std::vector<int64_t> kWidths{2, 6, 16, 34, 64};

}  // namespace

TEST_CASE("dwords are transposed, and zeros in the padding stay") {
  for (const int64_t rows : kSizes) {
    for (const int64_t columns : kSizes) {
      INFO(rows << " x " << columns);
      const int64_t ldx = columns + 3, ld = up(rows, simd::kLanes) + simd::kLanes;
      std::vector<uint32_t> x(rows * ldx), want(columns * ld);
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint32_t>(i + 1) * 2654435761u;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) want[c * ld + r] = x[r * ldx + c];
      }
      at_each_level([&] {
        Fenced<uint32_t> out(columns * ld);
        transpose_dwords(x.data(), ldx, rows, columns, out.data(), ld);
        CHECK(same_bits(out.taken(), want));
      });
    }
  }
}

TEST_CASE("rows of floats are transposed, and zeros in the padding stay") {
  for (const int64_t n : kSizes) {
    for (const int64_t width : kSizes) {
      INFO(n << " x " << width);
      const int64_t stride = width + 3, ld = up(n, simd::kLanes) + simd::kLanes;
      const auto x = Numbers(19).many<float>(n * stride);
      std::vector<float> want(width * ld);
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t c = 0; c < width; ++c) want[c * ld + r] = x[r * stride + c];
      }
      at_each_level([&] {
        Fenced<float> out(width * ld);
        transpose_rows(x.data(), stride, n, width, out.data(), ld);
        CHECK(same_bits(out.taken(), want));
      });
    }
  }
}

TEST_CASE("rows: copied into padding") {
  for (const int64_t n : kSizes) {
    for (const int64_t width : {1, 5, 8, 34}) {
      INFO(n << " x " << width);
      const Head x(n, width);
      const int64_t ld = up(width, 32);
      std::vector<Bf16> want(n * ld);
      for (int64_t i = 0; i < n * ld; ++i) want[i] = x.at(i / ld, i % ld);
      at_each_level([&] {
        Fenced<Bf16> out(n * ld);
        copy_rows(x.data.data(), x.stride, n, width, out.data(), ld);
        CHECK(same_bits(out.taken(), want));
      });
    }
  }
}

TEST_CASE("across: dword (j, r) is X[r][2j, 2j+1]") {
  for (const int64_t n : kSizes) {
    for (const int64_t width : kWidths) {
      INFO(n << " x " << width);
      const Head x(n, width);
      const int64_t ld = up(n, simd::kLanes);
      std::vector<uint32_t> want(width / 2 * ld);
      for (int64_t i = 0; i < std::ssize(want); ++i) {
        const int64_t j = i / ld, r = i % ld;
        want[i] = pair(x.at(r, 2 * j), x.at(r, 2 * j + 1));
      }
      at_each_level([&] {
        Fenced<uint32_t> out(std::ssize(want));
        transpose_dwords(dwords(x.data), x.stride / 2, n, width / 2, out.data(), ld);
        CHECK(same_bits(out.taken(), want));
      });
    }
  }
}

TEST_CASE("down: dword (j, c) is X[2j][c], X[2j+1][c]; columns: its transpose is that of X") {
  for (const int64_t n : kSizes) {
    for (const int64_t width : kWidths) {
      INFO(n << " x " << width);
      const Head x(n, width);
      const int64_t pairs = (n + 1) / 2, ld = width + 1, ld_columns = 2 * up(pairs, simd::kLanes);
      std::vector<uint32_t> down(pairs * ld);
      std::vector<Bf16> columns(width * ld_columns);
      for (int64_t i = 0; i < pairs * ld; ++i) {
        down[i] = pair(x.at(i / ld * 2, i % ld), x.at(i / ld * 2 + 1, i % ld));
      }
      for (int64_t i = 0; i < width * ld_columns; ++i) {
        columns[i] = x.at(i % ld_columns, i / ld_columns);
      }
      at_each_level([&] {
        Fenced<uint32_t> out(pairs * ld);
        pack_down(x.data.data(), x.stride, n, width, out.data(), ld);
        CHECK(same_bits(out.taken(), down));
        Fenced<uint32_t> transposed(width * ld_columns / 2);
        transpose_dwords(out.data(), ld, pairs, width, transposed.data(), ld_columns / 2);
        const std::vector<uint32_t> got = transposed.taken();
        CHECK(std::memcmp(got.data(), columns.data(), columns.size() * sizeof(Bf16)) == 0);
      });
    }
  }
}

TEST_CASE("two rows of floats become pairs, and rows of bfloat16") {
  const bool with_rows = GENERATE(false, true);
  for (const int64_t padded : {16, 32, 112}) {
    Numbers numbers(15);
    const auto first = numbers.many<float>(padded), second = numbers.many<float>(padded);
    std::vector<uint32_t> pairs;
    std::vector<Bf16> a(padded), b(padded);
    for (int64_t c = 0; c < padded; ++c) {
      const auto low = rounded<Bf16>(first[c]), high = rounded<Bf16>(second[c]);
      pairs.push_back(pair(low, high));
      if (with_rows) a[c] = low, b[c] = high;
    }
    at_each_level([&] {
      Fenced<uint32_t> down(padded);
      Fenced<Bf16> one(padded), other(padded);
      store_pairs(first.data(),
                  second.data(),
                  padded,
                  down.data(),
                  with_rows ? one.data() : nullptr,
                  with_rows ? other.data() : nullptr);
      CHECK(same_bits(down.taken(), pairs));
      CHECK(same_bits(one.taken(), a));
      CHECK(same_bits(other.taken(), b));
    });
  }
}

TEST_CASE("a gradient's columns become rows of bfloat16") {
  constexpr float factor = 0.5;
  for (const int64_t n : kSizes) {
    for (const int64_t width : {1, 5, 16, 34}) {
      INFO(n << " x " << width);
      const int64_t ldx = up(n, simd::kLanes) + 16, stride = width + 3;
      const auto x = Numbers(16).many<float>(up(width, simd::kLanes) * ldx);
      const std::vector<Bf16> before(n * stride, Bf16{77});
      std::vector<Bf16> want = before;
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t c = 0; c < width; ++c) {
          want[r * stride + c] = rounded<Bf16>(x[c * ldx + r] * factor);
        }
      }
      at_each_level([&] {
        Fenced<Bf16> out(before);
        store_transposed(x.data(), ldx, n, width, factor, out.data(), stride);
        CHECK(same_bits(out.taken(), want));
      });
    }
  }
}
