#include <chrono>
#include <thread>

#include "clocks.h"
#include "models/kernels/matmul.h"
#include "models/kernels/matmul_ways.h"
#include "options.h"
#include "support/level_guard.h"
#include "support/plain_kernels.h"

using namespace previt;

namespace {

const MatmulShape kLarge{"a*bT", at::kFloat, 400, 400, 400};

// A way that takes so long and returns a tensor that tells which it was.
MatmulWay way(const std::string& name, int milliseconds, double value) {
  return {name, [=] {
            const double begin = thread_seconds();
            while (thread_seconds() < begin + 1e-3 * milliseconds) {
            }
            return torch::full({1}, value);
          }};
}

double value_of(const at::Tensor& result) { return result.item<double>(); }

// The process's choices are empty again afterwards.
struct Forget {
  ~Forget() {
    matmul_ways().choose({});
    matmul_ways().measure(false);
  }
};

}  // namespace

TEST_CASE("the fastest way is chosen once and then kept") {
  MatmulWays ways;
  const std::vector<MatmulWay> slow_first{way("a", 30, 1), way("b", 1, 2)};
  CHECK(value_of(ways.compute(kLarge, slow_first)) == 1);  // not measured: the fixed one
  CHECK(ways.chosen().empty());
  ways.measure(true);
  CHECK(value_of(ways.compute(kLarge, slow_first)) == 2);
  CHECK(ways.chosen() == std::map<std::string, std::string>{{kLarge.text(), "b"}});
  CHECK(value_of(ways.compute(kLarge, {way("a", 1, 1), way("b", 30, 2)})) == 2);

  MatmulWays another;
  another.choose(ways.chosen());
  CHECK(value_of(another.compute(kLarge, {way("a", 1, 1), way("b", 1, 2)})) == 2);
  // A choice that this machine does not have is the fixed one.
  CHECK(value_of(another.compute(kLarge, {way("a", 1, 1), way("c", 1, 3)})) == 1);
}

TEST_CASE("one thread's ways are judged by their own work, not by that of other programs") {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  MatmulWays ways;
  ways.measure(true);
  const auto held_up = [](const MatmulWay& way) {
    return MatmulWay{way.name, [=] {
                       std::this_thread::sleep_for(std::chrono::milliseconds(40));
                       return way.compute();
                     }};
  };
  CHECK(value_of(ways.compute(kLarge, {way("a", 20, 1), held_up(way("b", 2, 2))})) == 2);
  at::set_num_threads(threads);
}

TEST_CASE("a choice holds for numbers of rows up to the next power of two") {
  const auto text = [](int64_t rows) {
    return MatmulShape{"a*bT", at::kFloat, rows, 300, 200}.text();
  };
  CHECK(text(1024) == text(2047));
  CHECK(text(2047) != text(2048));
  CHECK(text(1024) != (MatmulShape{"a*bT", at::kFloat, 1024, 200, 300}.text()));
}

TEST_CASE("what is small is not measured, and what fails is left out") {
  MatmulWays ways;
  ways.measure(true);
  const MatmulShape small{"a*bT", at::kFloat, 100, 100, 100};
  CHECK(value_of(ways.compute(small, {way("a", 5, 1), way("b", 0, 2)})) == 1);
  CHECK(ways.chosen().empty());

  const MatmulWay failing{"none", []() -> at::Tensor { TORCH_CHECK(false, "not here"); }};
  CHECK(value_of(ways.compute(kLarge, {failing, way("b", 1, 2)})) == 2);
  const MatmulShape other{"aT*b", at::kFloat, 400, 400, 400};
  CHECK_THROWS_AS(ways.compute(other, {failing, failing}), c10::Error);
}

TEST_CASE("all ways of a matmul give the formula, on processors with and without bfloat16") {
  const Forget forget;
  torch::manual_seed(3);
  const at::Tensor x = torch::randn({1100, 160}), w = torch::randn({170, 160}),
                   bias = torch::randn({170}), dy = torch::randn({1100, 170});
  for (const CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, machine_level()}) {
    const LevelGuard guard(level);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor a = x.to(type), b = w.to(type), g = dy.to(type);
      const auto exact = [](const at::Tensor& t) { return t.to(at::kDouble); };
      for (const char* name :
           {"framework", "onednn", "float32", "divided", "columns", "transposed", "panels"}) {
        INFO(name << " " << at::toString(type) << " " << name_of(level));
        std::map<std::string, std::string> chosen;
        const auto choose = [&](const char* kind, int64_t out, int64_t in) {
          chosen[MatmulShape{kind, type, 1100, out, in}.text()] = name;
        };
        choose("a*bT", 170, 160);
        choose("a*bT+bias", 170, 160);
        choose("a*b", 160, 170);
        choose("aT*b", 170, 160);
        matmul_ways().choose(chosen);
        const double tolerance = type == at::kFloat ? 1e-6 : 4e-3;
        CHECK(distance(matmul_transposed(a, b), exact(a).matmul(exact(b).t())) < tolerance);
        CHECK(distance(matmul_transposed(a, b, bias), exact(a).matmul(exact(b).t()) + exact(bias)) <
              tolerance);
        CHECK(distance(matmul_transposed(g, b.t()), exact(g).matmul(exact(b))) < tolerance);
        CHECK(distance(matmul_over_rows(g, a), exact(g).t().matmul(exact(a))) < tolerance);
      }
    }
  }
}
