#include "pretrain/train/precision_choice.h"

#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <limits>

#include "clocks.h"
#include "cpu_level.h"
#include "log.h"
#include "models/kernels/precision.h"
#include "models/layers/linear.h"

namespace previt {
namespace {

// FLOPs of the forward passes that are measured, and below which it isn't worth it.
constexpr double kMost = 2e10, kLeast = 1e8;
constexpr int kRounds = 4;
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

struct Seconds {
  double fp32 = 0, bf16 = 0;
};

// Of one layer's forward and backward passes over `tokens` tokens: the best of each.
Seconds seconds_of(const Size& size, int64_t tokens) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const auto layer = std::make_shared<Linear>(size.in, size.out);
  const at::Tensor x = at::rand({tokens, size.in}).set_requires_grad(true);
  const at::Tensor dy = at::rand({tokens, size.out});
  const auto take = [&](at::ScalarType type, double& best) {
    const ComputeTypeGuard guard(type);
    const at::Tensor gradient = dy.to(type);
    const double begin = thread_seconds();  // it does its share of both passes
    layer->forward(x).backward(gradient);
    best = std::min(best, thread_seconds() - begin);
  };
  Seconds best{kNone, kNone};
  for (int round = 0; round < kRounds; ++round) {
    take(at::kFloat, best.fp32);
    take(at::kBFloat16, best.bf16);
  }
  return best;
}

Precision faster_precision(const VitOptions& model, int64_t tokens) {
  if (cpu_level() < CpuLevel::kAvx512Bf16) {
    info("train.precision: fp32, as this processor has no instructions for bf16");
    return Precision::fp32;
  }
  const double each = flops_per_token(model);
  const auto most = static_cast<int64_t>(kMost / each);
  const int64_t measured = std::max<int64_t>(1, std::min(tokens, most));
  if (each * static_cast<double>(measured) < kLeast) {
    info("train.precision: fp32, as so small a model gains nothing from bf16");
    return Precision::fp32;
  }
  Seconds total;
  for (const Size& size : layers_of_block(model)) {
    const Seconds best = seconds_of(size, measured);
    total.fp32 += best.fp32;
    total.bf16 += best.bf16;
  }
  const double fp32 = total.fp32, bf16 = total.bf16;
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
                            int64_t images,
                            at::Device device) {
  if (asked != Precision::automatic) return asked;
  if (!device.is_cpu()) {
    info("train.precision: bf16, as on every GPU");
    return Precision::bf16;
  }
  return faster_precision(model, images * (model.num_patches() + model.num_prefix_tokens()));
}

}  // namespace previt
