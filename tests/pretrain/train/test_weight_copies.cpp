#include <functional>
#include <memory>

#include "models/heads/ibot_head.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "models/layers/linear.h"
#include "models/weights/weights.h"
#include "pretrain/train/ema.h"
#include "pretrain/train/optimizer.h"
#include "support/catch.h"

using namespace previt;

namespace {

// A layer that keeps a bfloat16 copy of its weight, and whether it is that of the weight as it is.
struct Watched {
  Watched() {
    const torch::NoGradGuard no_grad;
    layer->weight.normal_();
    look();
  }

  // The output, of which one without any copy is the measure.
  at::Tensor look() {
    const ComputeTypeGuard bf16(torch::kBFloat16);
    const at::Tensor y = layer->forward(x);
    CHECK(torch::equal(y, previt::linear(x, layer->weight, layer->bias)));
    CHECK(torch::equal(layer->forward_gelu(x), linear_gelu(x, layer->weight, layer->bias)));
    return y.detach();
  }

  // After `change` the output is another one, and right.
  void check_after(const std::function<void()>& change) {
    const at::Tensor before = look();
    change();
    CHECK_FALSE(torch::equal(look(), before));
  }

  std::shared_ptr<Linear> layer = std::make_shared<Linear>(12, 7);
  at::Tensor x = torch::randn({5, 12});
};

void backward(Watched& w) {
  const ComputeTypeGuard bf16(torch::kBFloat16);
  w.layer->forward(w.x).to(torch::kFloat).square().sum().backward();
}

}  // namespace

TEST_CASE("no layer computes with what its weight was before the optimizer's step") {
  torch::manual_seed(11);
  for (const auto name : {OptimizerKind::adamw, OptimizerKind::sgd, OptimizerKind::lars}) {
    INFO(name_of(name));
    Watched w;
    OptimizerOptions options;
    options.name = name;
    options.trust_coefficient = 1;  // so that LARS's steps are seen in bfloat16 too
    const auto optimizer = make_optimizer(options, trained_parameters(*w.layer, decay_all()));
    for (int step = 0; step < 3; ++step) {
      optimizer->zero_grad();
      backward(w);
      w.check_after([&] { optimizer->step(0.5, 0.1); });
    }
  }
}

TEST_CASE("no layer computes with what its weight was before it was averaged, loaded or written") {
  torch::manual_seed(12);
  Watched w;
  Ema ema(*w.layer, 0.5);
  w.check_after([&] {
    const torch::NoGradGuard no_grad;
    w.layer->weight.add_(1);
  });
  ema.update();
  w.check_after([&] { ema.swap(); });
  w.check_after([&] { ema.swap(); });

  const Watched other;
  w.check_after([&] { load_into(*w.layer, named_tensors(*other.layer)); });
  w.check_after([&] { w.layer->weight.set_data(torch::randn({7, 12})); });
  w.check_after([&] {
    static_cast<float*>(w.layer->weight.data_ptr())[0] += 10;
    WeightCopy::changed(w.layer->weight);
  });
}

TEST_CASE("a graph goes backward with the weight that it went forward with") {
  torch::manual_seed(13);
  Watched w;
  const ComputeTypeGuard bf16(torch::kBFloat16);
  const at::Tensor x = w.x.clone().requires_grad_();
  const at::Tensor weight = w.layer->weight.detach().to(torch::kBFloat16).to(torch::kFloat);
  const at::Tensor y = w.layer->forward(x);
  w.check_after([&] {
    const torch::NoGradGuard no_grad;
    w.layer->weight.zero_();
  });
  y.backward(torch::ones_like(y));
  CHECK(torch::allclose(x.grad(), torch::ones({5, 7}).mm(weight), 1e-2, 1e-2));
}

TEST_CASE("no head compares with what its prototypes were, its own or shared ones") {
  torch::manual_seed(14);
  const DinoHeadOptions options{.out_dim = 9, .hidden_dim = 8, .bottleneck_dim = 6, .layers = 1};
  const at::Tensor rows = torch::randn({4, 6});
  for (const bool shared : {false, true}) {
    INFO("shared " << shared);
    IbotHead head(5, options, 11, shared);
    const ComputeTypeGuard bf16(torch::kBFloat16);
    const auto check = [&](const at::Tensor& got, const at::Tensor& v) {
      WeightCopy fresh;
      CHECK(torch::equal(got,
                         weight_normed_linear(rows, v, torch::ones({v.size(0), 1}), true, fresh)));
    };
    for (int i = 0; i < 3; ++i) {
      check(head.cls_logits(rows), head.weight_v);
      check(head.patch_logits(rows), head.patch_v);
      const torch::NoGradGuard no_grad;
      head.weight_v.normal_();
      if (!shared) head.patch_v.normal_();
    }
  }
}
