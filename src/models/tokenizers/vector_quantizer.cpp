#include "models/tokenizers/vector_quantizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "error.h"
#include "models/layers/unit_length.h"
#include "models/tokenizers/kmeans.h"
#include "random.h"
#include "upload.h"

namespace previt {
namespace {

constexpr double kSmoothing = 1e-5;  // of counts: a code without latents must not be 0 / 0

// `count` numbers of rows below `rows`, all different if there are enough.
at::Tensor pick_rows(int64_t rows, int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> picked = random_permutation(rows, random);
  while (static_cast<int64_t>(picked.size()) < count) picked.push_back(random.integer(0, rows));
  picked.resize(static_cast<size_t>(count));
  return torch::tensor(picked);
}

std::vector<int64_t> without_last(at::IntArrayRef shape) {
  return {shape.begin(), shape.end() - 1};
}

}  // namespace

void visit(FieldVisitor& v, CodebookOptions& o) {
  v.field("codes", o.codes, "size of the codebook", between(2, 1 << 20));
  v.field("dim", o.dim, "width of a code", at_least(1));
  v.field("normalize", o.normalize, "latents and codes of length 1");
  v.field("decay", o.decay, "of the codebook's moving averages", inside(0, 1));
  v.field(
      "commitment", o.commitment, "weight of the loss that draws latents to codes", at_least(0));
  v.field("kmeans", o.kmeans, "iterations that make the first codes; 0: random codes", at_least(0));
  v.field("revive_below",
          o.revive_below,
          "restart codes with less of an equal share; 0: never",
          {0, 1, false, true});
}

VectorQuantizer::VectorQuantizer(const CodebookOptions& options) : options_(options) {
  const torch::NoGradGuard no_grad;
  const bool random = options.kmeans == 0;
  at::Tensor first = torch::zeros({options.codes, options.dim});
  if (random) first = options.normalize ? unit_length(first.normal_()) : first.normal_();
  codebook = register_buffer("codebook", first);
  cluster_size = register_buffer("cluster_size", torch::zeros({options.codes}));
  if (!options.normalize) {
    sums_ = register_buffer("sums", first.clone());
    if (random) cluster_size.fill_(1);
  }
  started_ = register_buffer("started", torch::full({1}, random ? 1.0 : 0.0));
}

bool VectorQuantizer::has_codes() const {
  if (!known_) known_ = started_.item<float>() != 0;
  return known_;
}

at::Tensor VectorQuantizer::prepared(const at::Tensor& latents) const {
  require(latents.size(-1) == options_.dim,
          "codebook: latents are {} wide instead of {}",
          latents.size(-1),
          options_.dim);
  const at::Tensor z = latents.to(torch::kFloat32);
  return options_.normalize ? unit_length(z) : z;
}

at::Tensor VectorQuantizer::tokens(const at::Tensor& latents) const {
  const torch::NoGradGuard no_grad;
  const at::Tensor rows = prepared(latents).reshape({-1, options_.dim});
  return nearest_center(rows, codebook).view(without_last(latents.sizes()));
}

Quantized VectorQuantizer::forward(const at::Tensor& latents) {
  const at::Tensor z = prepared(latents);
  Quantized out{.values = z,
                .tokens = {},
                .commitment = torch::zeros({}, z.options()),
                .latents = z.detach().reshape({-1, options_.dim})};
  if (!has_codes()) return out;
  const at::Tensor ids = nearest_center(out.latents, codebook);
  const at::Tensor codes = codebook.index_select(0, ids).view(z.sizes());
  out.tokens = ids.view(without_last(z.sizes()));
  out.commitment = options_.commitment * torch::mse_loss(z, codes);
  out.values = z + (codes - z).detach();
  return out;
}

void VectorQuantizer::forget() {
  step_sums_ = step_counts_ = at::Tensor();
  step_latents_.clear();
}

void VectorQuantizer::collect(const Quantized& quantized) {
  const torch::NoGradGuard no_grad;
  if (!has_codes() || options_.revive_below > 0) step_latents_.push_back(quantized.latents);
  if (!quantized.tokens.defined()) return;
  const auto [sums, counts] =
      cluster_sums(quantized.latents, quantized.tokens.flatten(), options_.codes);
  step_sums_ = step_sums_.defined() ? step_sums_ + sums : sums;
  step_counts_ = step_counts_.defined() ? step_counts_ + counts : counts;
}

void VectorQuantizer::update(uint64_t run_seed, int64_t step, Communicator& all) {
  const torch::NoGradGuard no_grad;
  const uint64_t seed = stream_key(run_seed, Stream::codes, {static_cast<uint64_t>(step)});
  if (!has_codes() && !step_latents_.empty()) {
    init_codebook(seed, all);
  } else if (step_counts_.defined()) {
    all.sum(step_counts_);
    all.sum(step_sums_);
    count(step_counts_);
    ema_update();
    if (options_.revive_below > 0) restart_dead_codes(seed, all);
  }
  forget();
}

void VectorQuantizer::count(const at::Tensor& counts) {
  cluster_size.mul_(options_.decay).add_(counts, 1 - options_.decay);
}

// In the order in which one process would have them.
at::Tensor VectorQuantizer::collected_latents(Communicator& all) const {
  std::vector<at::Tensor> latents;
  for (const at::Tensor& own : step_latents_) latents.push_back(all.gather(own));
  return latents.size() == 1 ? latents.front() : torch::cat(latents);
}

void VectorQuantizer::init_codebook(uint64_t seed, Communicator& all) {
  const at::Tensor latents = collected_latents(all);
  const at::Tensor first =
      upload(pick_rows(latents.size(0), options_.codes, seed), latents.device());
  const Clusters found =
      kmeans(latents, latents.index_select(0, first), options_.kmeans, options_.normalize);
  codebook.copy_(found.means);
  cluster_size.copy_(found.counts);
  if (sums_.defined()) sums_.copy_(found.means * found.counts.unsqueeze(1));
  // Processors differ in the last bit, which k-means makes more of.
  for (const at::Tensor& kept : {codebook, cluster_size, sums_}) {
    if (kept.defined()) all.broadcast(kept);
  }
  started_.fill_(1);
}

void VectorQuantizer::ema_update() {
  const double decay = options_.decay;
  if (options_.normalize) {
    const at::Tensor mean = unit_length(step_sums_ / step_counts_.clamp_min(1).unsqueeze(1));
    const at::Tensor goal = torch::where((step_counts_ == 0).unsqueeze(1), codebook, mean);
    codebook.copy_(unit_length(codebook * decay + goal * (1 - decay)));
    return;
  }
  sums_.mul_(decay).add_(step_sums_, 1 - decay);
  const at::Tensor total = cluster_size.sum();
  // Laplace smoothing, which keeps the total.
  const at::Tensor smoothed = (cluster_size + kSmoothing) /
                              (total + static_cast<double>(options_.codes) * kSmoothing) * total;
  codebook.copy_(sums_ / smoothed.unsqueeze(1));
}

// A code that is hardly used starts again at one of the batch's latents, as if it had an equal
// share of them (Dhariwal et al. 2020, arXiv:2005.00341).
void VectorQuantizer::restart_dead_codes(uint64_t seed, Communicator& all) {
  const at::Tensor latents = collected_latents(all);
  const at::Tensor rows =
      upload(pick_rows(latents.size(0), options_.codes, seed), latents.device());
  const at::Tensor fresh = latents.index_select(0, rows);
  const at::Tensor share = cluster_size.mean();
  const at::Tensor dead = cluster_size < options_.revive_below * share;
  codebook.copy_(torch::where(dead.unsqueeze(1), fresh, codebook));
  if (sums_.defined()) sums_.copy_(torch::where(dead.unsqueeze(1), fresh * share, sums_));
  cluster_size.copy_(torch::where(dead, share, cluster_size));
}

at::Tensor code_usage(const at::Tensor& averaged_counts, double decay) {
  // What is left of a single hit that was 1 / (1 - decay) steps ago.
  const double least = (1 - decay) * std::pow(decay, 1 / (1 - decay));
  return (averaged_counts >= least).to(torch::kFloat32).mean();
}

at::Tensor code_perplexity(const at::Tensor& counts) {
  return torch::special_entr(counts / counts.sum().clamp_min(1e-12)).sum().exp();
}

}  // namespace previt
