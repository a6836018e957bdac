#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <vector>

#include "communicator.h"
#include "options.h"

namespace previt {

/// Options of a VectorQuantizer.
struct CodebookOptions {
  int64_t codes = 8192;
  int64_t dim = 32;         ///< of a code
  bool normalize = true;    ///< latents and codes of length 1 (BEiT v2), or as they are (VQ-VAE)
  double decay = 0.99;      ///< of the moving averages, per optimizer step
  double commitment = 1;    ///< weight of the loss that draws latents to their codes
  int64_t kmeans = 10;      ///< iterations that make the first codes from data; 0: random codes
  double revive_below = 0;  ///< of an equal share of the latents; 0: dead codes stay dead
};
void visit(FieldVisitor& v, CodebookOptions& o);

/// Latents [..., D], each replaced by the nearest of the codebook's K codes.
struct Quantized {
  at::Tensor values;      ///< [..., D]: the codes, with the latents' gradient (straight-through)
  at::Tensor tokens;      ///< int64 [...]: the codes' indices; undefined while there are no codes
  at::Tensor commitment;  ///< scalar loss, weighted
  at::Tensor latents;     ///< [R, D]: what was quantized, without gradient
};

/// Vector quantization whose codebook is updated by exponential moving averages (EMA), not by
/// gradients. With `normalize` that of BEiT v2 (beit2:norm_ema_quantizer.py): a code moves towards
/// the mean direction of its latents, and one without latents stays. Without, that of VQ-VAE (van
/// den Oord et al. 2017, appendix A.1): averages of counts and sums, whose quotient is the code.
///
/// Training: forward() and collect() for each micro-batch, then once per optimizer step update(),
/// so that the codebook sees the whole batch however it is cut, and over however many ranks. While
/// there are no codes (the first step, with k-means), latents pass through as they are, and
/// update() makes the first codes from all latents of the batch.
class VectorQuantizer : public torch::nn::Module {
 public:
  explicit VectorQuantizer(const CodebookOptions& options);

  /// Latents [..., D]. Throws Error for another width.
  Quantized forward(const at::Tensor& latents);
  at::Tensor tokens(const at::Tensor& latents) const;  ///< [..., D] → int64 [...]

  /// Adds what forward() gave to what update() works on.
  void collect(const Quantized& quantized);
  /// Moves the codebook, or makes the first codes. Where k-means and restarted codes begin is
  /// random, by the run's seed and the step. The ranks, whose micro-batches are dealt out in turn,
  /// add up what each collected, and keep the same codebook.
  void update(uint64_t seed, int64_t step, Communicator& all = world());
  void forget();  ///< drops what was collected

  /// Moves the averaged counts by those of a batch, float32 [K].
  void count(const at::Tensor& counts);

  bool has_codes() const;  ///< false until k-means has made the first codes
  const CodebookOptions& options() const { return options_; }

  at::Tensor codebook;      ///< [K, D]
  at::Tensor cluster_size;  ///< [K], latents per step of each code, averaged

 private:
  at::Tensor prepared(const at::Tensor& latents) const;
  at::Tensor collected_latents(Communicator& all) const;
  void init_codebook(uint64_t seed, Communicator& all);
  void ema_update();
  void restart_dead_codes(uint64_t seed, Communicator& all);

  CodebookOptions options_;
  at::Tensor sums_;             // [K, D], averaged; only without normalize
  at::Tensor started_;          // [1], 1 once there are codes
  mutable bool known_ = false;  // started_ was seen to be 1: reading it waits for the device
  at::Tensor step_sums_, step_counts_;
  std::vector<at::Tensor> step_latents_;  // only where update() needs them
};

/// Share of the codes that were used within the last 1 / (1 - decay) steps, from counts averaged
/// with that decay [K]; scalar.
at::Tensor code_usage(const at::Tensor& averaged_counts, double decay);
/// Perplexity of the codebook, exp of the entropy of the codes' shares: between 1 (one code takes
/// all) and K; scalar.
at::Tensor code_perplexity(const at::Tensor& counts);

}  // namespace previt
