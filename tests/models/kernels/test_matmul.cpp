#include "models/kernels/elementwise.h"
#include "models/kernels/matmul.h"
#include "models/kernels/padded_rows.h"
#include "support/plain_kernels.h"

using namespace previt;

TEST_CASE("a matmul over padded rows gives what the rows alone give") {
  torch::manual_seed(8);
  const at::Tensor b = torch::randn({48, 40}).to(torch::kBFloat16), bias = torch::randn({48});
  for (const int64_t rows : {7, 512, 601, 640}) {
    INFO(rows << " rows");
    const at::Tensor plain = torch::randn({rows, 40}).to(torch::kBFloat16);
    const PaddedRows padded({rows, 40}, plain.options());
    padded.padded().fill_(NAN);  // whatever lies there
    padded.view().copy_(plain);
    for (const at::Tensor& given : {at::Tensor(), bias}) {
      at::Tensor want = plain.to(torch::kDouble).matmul(b.to(torch::kDouble).t());
      if (given.defined()) want = want + given;
      for (const at::Tensor& a : {plain, padded.view()}) {
        const at::Tensor got = matmul_transposed(a, b, given).to(torch::kDouble);
        REQUIRE(got.sizes() == want.sizes());
        CHECK((got - want).norm().item<double>() < 4e-3 * want.norm().item<double>());
      }
    }
  }
}

TEST_CASE("padded rows reach no further than their own storage") {
  const PaddedRows made({3, 11, 5}, torch::kFloat);
  CHECK(made.view().sizes() == torch::IntArrayRef({3, 11, 5}));
  CHECK(made.padded().sizes() == torch::IntArrayRef({64, 5}));
  CHECK(made.view().data_ptr() == made.padded().data_ptr());

  const PaddedRows found(made.view().flatten(0, 1));
  CHECK(found.padded().sizes() == made.padded().sizes());
  CHECK(found.padded().data_ptr() == made.padded().data_ptr());
  CHECK(found.view().sizes() == torch::IntArrayRef({33, 5}));

  const at::Tensor alone = torch::zeros({33, 5});
  CHECK(PaddedRows(alone).padded().sizes() == alone.sizes());
  const at::Tensor last = torch::zeros({66, 5}).slice(0, 33);  // the padding would pass the end
  CHECK(PaddedRows(last).padded().sizes() == last.sizes());
  CHECK(PaddedRows(torch::zeros({0, 5})).padded().size(0) == 0);

  CHECK_THROWS_AS(PaddedRows(torch::zeros({5, 33}).t()), c10::Error);
  CHECK_THROWS_AS(PaddedRows(torch::zeros({2, 3, 4})), c10::Error);
  CHECK_THROWS_AS(PaddedRows(at::IntArrayRef(), torch::kFloat), c10::Error);
}

TEST_CASE("a sum over rows is the same on any number of threads") {
  torch::manual_seed(4);
  const auto type = GENERATE(torch::kFloat, torch::kBFloat16);
  const int64_t rows = GENERATE(1, 700, 1537, 2049);
  const at::Tensor a = torch::randn({rows, 24}).to(type), b = torch::randn({rows, 35}).to(type);
  const int before = torch::get_num_threads();
  torch::set_num_threads(GENERATE(1, 2, 3, 5));
  const at::Tensor got = matmul_over_rows(a, b);
  torch::set_num_threads(before);
  CHECK(got.scalar_type() == torch::kFloat);
  const at::Tensor want = a.to(torch::kDouble).t().mm(b.to(torch::kDouble));
  CHECK(distance(got, want) < (type == torch::kFloat ? 1e-6 : 3e-3));
}

TEST_CASE("rows are transposed, whatever their number and width") {
  torch::manual_seed(12);
  for (const auto& [rows, width] : {std::pair{1, 1}, {31, 7}, {32, 64}, {67, 130}, {800, 48}}) {
    INFO(rows << " x " << width);
    const at::Tensor x = torch::randn({rows, width}).to(torch::kBFloat16);
    CHECK(torch::equal(loops::transposed(x), x.t()));
  }
}
