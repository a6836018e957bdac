#include "pretrain/train/precision_choice.h"

#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "log.h"
#include "models/kernels/precision.h"
#include "models/layers/linear.h"

namespace previt {
namespace {

// FLOPs of the forward passes that are measured, and below which it isn't worth it.
constexpr double kMost = 2e10, kLeast = 1e8;
constexpr int kRounds = 3;
constexpr double kGain = 0.95;  // of fp32's time, that bf16 has to save; less is noise

struct Size {
  int64_t in, out;
};

std::vector<Size> layers_of_block(const VitOptions& model) {
  const int64_t d = model.embed_dim, attention = model.attention_width();
  const auto hidden = static_cast<int64_t>(static_cast<double>(d) * model.mlp_ratio);
  return {{d, 3 * attention}, {attention, d}, {d, hidden}, {hidden, d}};
}

double flops_per_token(const VitOptions& model) {
  double sum = 0;
  for (const auto& [in, out] : layers_of_block(model)) sum += 2.0 * static_cast<double>(in * out);
  return sum;
}

// Seconds of the layers' forward and backward passes over `tokens` tokens.
double seconds_in(at::ScalarType type, const VitOptions& model, int64_t tokens) {
  const ComputeTypeGuard guard(type);
  double total = 0;
  for (const auto& [in, out] : layers_of_block(model)) {
    const auto layer = std::make_shared<Linear>(in, out);
    const at::Tensor x = at::rand({tokens, in}).set_requires_grad(true);
    const at::Tensor dy = at::rand({tokens, out}).to(type);
    double best = std::numeric_limits<double>::infinity();
    for (int round = 0; round < kRounds; ++round) {
      const auto begin = std::chrono::steady_clock::now();
      layer->forward(x).backward(dy);
      best = std::min(
          best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    total += best;
  }
  return total;
}

Precision faster_precision(const VitOptions& model, int64_t tokens) {
  const double each = flops_per_token(model);
  const auto most = static_cast<int64_t>(kMost / each);
  const int64_t measured = std::max<int64_t>(1, std::min(tokens, most));
  if (each * static_cast<double>(measured) < kLeast) {
    info("train.precision: fp32, as so small a model gains nothing from bf16");
    return Precision::fp32;
  }
  const double fp32 = seconds_in(at::kFloat, model, measured);
  const double bf16 = seconds_in(at::kBFloat16, model, measured);
  const bool half = bf16 < kGain * fp32;
  info("train.precision: {}, whose matmuls take {:.2f} of {}'s time here",
       half ? "bf16" : "fp32",
       half ? bf16 / fp32 : fp32 / bf16,
       half ? "fp32" : "bf16");
  return half ? Precision::bf16 : Precision::fp32;
}

}  // namespace

Precision decided_precision(Precision asked,
                            const VitOptions& model,
                            int64_t tokens,
                            at::Device device) {
  if (asked != Precision::automatic) return asked;
  if (!device.is_cpu()) {
    info("train.precision: bf16, as on every GPU");
    return Precision::bf16;
  }
  return faster_precision(model, tokens);
}

}  // namespace previt
