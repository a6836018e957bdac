#include "models/layers/unit_length.h"
#include "models/tokenizers/kmeans.h"
#include "models/tokenizers/vector_quantizer.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

namespace {

CodebookOptions plain(int64_t codes, int64_t dim) {
  return {.codes = codes,
          .dim = dim,
          .normalize = false,
          .decay = 0.9,
          .commitment = 0.25,
          .kmeans = 0};
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

void feed(VectorQuantizer& quantizer, const at::Tensor& latents, uint64_t seed = 1) {
  quantizer.collect(quantizer.forward(latents));
  quantizer.update(seed, 0);
}

}  // namespace

TEST_CASE("the nearest center is that of all distances, whatever parts it is computed in") {
  torch::manual_seed(1);
  const at::Tensor rows = torch::randn({4000, 3}), centers = 2 * torch::randn({9000, 3});
  const at::Tensor found = nearest_center(rows, centers);  // 36 million similarities: two parts
  for (const int64_t i : {0, 1999, 3727, 3728, 3999}) {
    const at::Tensor distances = (centers - rows[i]).square().sum(1);
    CHECK(distances[found[i].item<int64_t>()].item<double>() ==
          Approx(distances.min().item<double>()).margin(1e-5));
  }
}

TEST_CASE("straight-through: values are codes, gradients are the latents'") {
  torch::manual_seed(2);
  VectorQuantizer quantizer(plain(5, 3));
  const at::Tensor latents = torch::randn({2, 4, 3}).requires_grad_();
  const Quantized got = quantizer.forward(latents);
  CHECK(got.tokens.sizes() == at::IntArrayRef{2, 4});
  CHECK(difference(got.values,
                   quantizer.codebook.index_select(0, got.tokens.flatten()).view({2, 4, 3})) <
        1e-6);
  CHECK(torch::equal(quantizer.tokens(latents), got.tokens));
  const at::Tensor weights = torch::randn({2, 4, 3});
  (got.values * weights).sum().backward();
  CHECK(difference(latents.grad(), weights) == 0);
  CHECK(got.commitment.item<double>() ==
        Approx(0.25 * (latents - got.values).square().mean().item<double>()));
}

TEST_CASE("without normalisation the codebook is the quotient of VQ-VAE's averages") {
  torch::manual_seed(3);
  VectorQuantizer quantizer(plain(4, 3));
  at::Tensor sizes = torch::ones({4}), sums = quantizer.codebook.clone();
  for (int64_t step = 0; step < 3; ++step) {
    const at::Tensor latents = torch::randn({30, 3});
    const at::Tensor hits = torch::one_hot(quantizer.tokens(latents), 4).to(torch::kFloat32);
    sizes = 0.9 * sizes + 0.1 * hits.sum(0);
    sums = 0.9 * sums + 0.1 * hits.t().mm(latents);
    feed(quantizer, latents);
    CHECK(difference(quantizer.cluster_size, sizes) < 1e-5);
    const at::Tensor smoothed = (sizes + 1e-5) / (sizes.sum() + 4e-5) * sizes.sum();
    CHECK(difference(quantizer.codebook, sums / smoothed.unsqueeze(1)) < 1e-5);
  }
}

TEST_CASE("with k-means, the first step passes latents through and then makes the codes") {
  torch::manual_seed(4);
  const bool normalize = GENERATE(true, false);
  // Six heaps of latents, one for each code.
  const at::Tensor heaps = torch::tensor({{4.0, 0.0, 0.0},
                                          {-4.0, 0.0, 0.0},
                                          {0.0, 4.0, 0.0},
                                          {0.0, -4.0, 0.0},
                                          {0.0, 0.0, 4.0},
                                          {0.0, 0.0, -4.0}},
                                         torch::kFloat32);
  const at::Tensor latents = heaps.repeat({20, 1}) + 0.01 * torch::randn({120, 3});
  CodebookOptions options = plain(6, 3);
  options.normalize = normalize;
  options.kmeans = 10;
  VectorQuantizer quantizer(options);
  const Quantized first = quantizer.forward(latents);
  CHECK_FALSE(quantizer.has_codes());
  CHECK_FALSE(first.tokens.defined());
  CHECK(first.commitment.item<double>() == 0);
  CHECK(difference(first.values, normalize ? unit_length(latents) : latents) < 1e-6);
  // Found whatever the seed, as k-means may start two codes in one heap.
  double best = 1;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    VectorQuantizer tried(options);
    feed(tried, latents, seed);
    CHECK(tried.has_codes());
    CHECK(tried.cluster_size.sum().item<double>() == Approx(120));
    const Quantized got = tried.forward(latents);
    best = std::min(best, difference(got.values, first.values));
  }
  CHECK(best < 0.05);
}

TEST_CASE("dead codes start again at latents; used ones are left alone") {
  torch::manual_seed(5);
  CodebookOptions options = plain(8, 2);
  options.revive_below = 0.05;
  options.decay = 0.5;
  VectorQuantizer reviving(options);
  options.revive_below = 0;
  VectorQuantizer leaving(options);
  const torch::NoGradGuard no_grad;
  for (const char* name : {"codebook", "sums"}) {
    named_tensors(reviving).at(name).narrow(0, 4, 4).add_(100);  // far from everything
  }
  load_into(leaving, named_tensors(reviving));
  for (int64_t step = 0; step < 12; ++step) {
    const at::Tensor latents = torch::randn({200, 2});
    feed(reviving, latents, static_cast<uint64_t>(step));
    feed(leaving, latents);
  }
  const auto used = [](const VectorQuantizer& quantizer) {
    const at::Tensor tokens = quantizer.tokens(torch::randn({2000, 2}));
    return (torch::bincount(tokens, {}, 8) > 0).sum().item<int64_t>();
  };
  CHECK(used(reviving) == 8);
  CHECK(used(leaving) == 4);
}

TEST_CASE("the codebook moves by the whole step's latents, in any parts, or not at all") {
  torch::manual_seed(6);
  const bool normalize = GENERATE(true, false);
  CodebookOptions options = plain(6, 3);
  options.normalize = normalize;
  options.kmeans = 5;
  options.revive_below = 0.3;
  VectorQuantizer whole(options), parts(options);
  for (uint64_t step = 0; step < 4; ++step) {
    const at::Tensor latents = torch::randn({40, 3});
    feed(whole, latents, step);
    parts.collect(parts.forward(torch::randn({5, 3})));
    parts.forget();  // a step that was skipped
    for (const auto& part : latents.split(10)) parts.collect(parts.forward(part));
    parts.update(step, 0);
    CHECK(difference(whole.codebook, parts.codebook) < 1e-5);
    CHECK(difference(whole.cluster_size, parts.cluster_size) < 1e-5);
  }
}

TEST_CASE("usage and perplexity") {
  const at::Tensor counts = torch::tensor({4.0, 4.0, 0.0, 0.0});
  CHECK(code_perplexity(counts).item<double>() == Approx(2));
  CHECK(code_perplexity(torch::zeros({4})).item<double>() == Approx(1));
  CHECK(code_usage(counts, 0.9).item<double>() == Approx(0.5));
  // A single hit counts for 1 / (1 - decay) steps.
  at::Tensor one = torch::full({1}, 0.1);
  for (int64_t step = 0; step < 9; ++step) one *= 0.9;
  CHECK(code_usage(one, 0.9).item<double>() == 1);
  CHECK(code_usage(one * 0.9 * 0.9, 0.9).item<double>() == 0);
}

TEST_CASE("tokens are counted as bincount does") {
  const at::Tensor ids = torch::tensor({3, 0, 3, 3, 6}, torch::kInt64);
  CHECK(torch::equal(counts_of(ids, 8), torch::bincount(ids, {}, 8).to(torch::kFloat32)));
  CHECK(torch::equal(counts_of(ids.slice(0, 0, 0), 2), torch::zeros({2})));
}

TEST_CASE("ranks that share the micro-batches keep the codebook of one process") {
  CodebookOptions options = plain(6, 3);
  options.normalize = GENERATE(false, true);
  options.kmeans = 3;  // the first step makes the codes
  options.revive_below = 0.4;
  const int64_t size = GENERATE(2, 4);
  torch::manual_seed(5);
  std::vector<std::vector<at::Tensor>> steps(3);
  for (auto& micro_batches : steps) {
    for (int i = 0; i < 4; ++i) micro_batches.push_back(torch::randn({10, 3}));
  }
  const auto train = [&](VectorQuantizer& quantizer, Communicator& all) {
    for (size_t step = 0; step < steps.size(); ++step) {
      for (int64_t i = all.rank(); i < 4; i += all.size()) {
        quantizer.collect(quantizer.forward(steps[step][static_cast<size_t>(i)]));
      }
      quantizer.update(7, static_cast<int64_t>(step), all);
    }
  };
  VectorQuantizer one(options);
  train(one, world());
  std::vector<std::shared_ptr<VectorQuantizer>> ranks;
  for (int64_t i = 0; i < size; ++i) ranks.push_back(std::make_shared<VectorQuantizer>(options));
  test::ThreadRanks(size).run(
      [&](Communicator& all) { train(*ranks[static_cast<size_t>(all.rank())], all); });
  for (const auto& quantizer : ranks) {
    for (const auto& buffer : one.named_buffers()) {
      const at::Tensor kept = quantizer->named_buffers()[buffer.key()];
      CHECK(torch::equal(kept, ranks.front()->named_buffers()[buffer.key()]));
      CHECK(difference(kept, buffer.value()) <= 1e-6 * buffer.value().abs().max().item<double>());
    }
  }
}
