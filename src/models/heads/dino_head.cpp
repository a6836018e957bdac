#include "models/heads/dino_head.h"

#include <torch/csrc/autograd/custom_function.h>

#include "models/kernels/matmul.h"
#include "models/kernels/precision.h"
#include "models/layers/batch_norm.h"
#include "models/layers/init.h"
#include "models/layers/linear.h"
#include "models/layers/unit_length.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct WeightNormedLinear : torch::autograd::Function<WeightNormedLinear> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& v,
                            const at::Tensor& g,
                            const at::Tensor& values,  // of v, in the compute type
                            bool frozen) {
    const at::Tensor rows = x.to(values.scalar_type()), sums = matmul_transposed(rows, values);
    const at::Tensor length = v.norm(2, 1);  // [K]
    const at::Tensor scale = g.flatten() / length;
    ctx->save_for_backward({rows, v, values, sums, length, scale});
    ctx->saved_data["type"] = x.scalar_type();
    ctx->saved_data["frozen"] = frozen;
    return sums.to(at::kFloat) * scale;
  }

  // With s = g / ‖v‖ and y = s · (x vᵀ): dx = (s dy) v, dv = (s dy)ᵀ x - v · ds s / ‖v‖² and
  // dg = ds / ‖v‖, where ds sums dy · (x vᵀ) over the rows.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &rows = saved[0], &v = saved[1], &values = saved[2], &sums = saved[3];
    const at::Tensor &length = saved[4], &scale = saved[5], &dy = grads[0];
    const at::Tensor scaled = (dy * scale).to(rows.scalar_type());
    at::Tensor dx, dv, dg;
    if (ctx->needs_input_grad(0)) {
      dx = matmul_transposed(scaled, values.t()).to(ctx->saved_data["type"].toScalarType());
    }
    if (ctx->saved_data["frozen"].toBool()) return {dx, {}, {}, {}, {}};
    const at::Tensor ds = (dy * sums.to(at::kFloat)).sum(0);
    if (ctx->needs_input_grad(1)) {
      dv = matmul_over_rows(scaled, rows);
      dv.addcmul_(v.detach(), (ds * scale / length.square()).unsqueeze(1), -1);
    }
    if (ctx->needs_input_grad(2)) dg = (ds / length).unsqueeze(1);
    return {dx, dv, dg, {}, {}};
  }
};

}  // namespace

void visit(FieldVisitor& v, DinoHeadOptions& o) {
  v.field("out_dim", o.out_dim, "prototypes", at_least(2));
  v.field("hidden_dim", o.hidden_dim, "width of the head's layers", at_least(1));
  v.field("bottleneck_dim", o.bottleneck_dim, "width before the prototypes", at_least(1));
  v.field("layers", o.layers, "linear layers before the prototypes", between(1, 100));
  v.field("use_bn", o.use_bn, "BatchNorm in the head, over the images of all processes");
  v.field("norm_last_layer", o.norm_last_layer, "keep the prototypes at length 1");
}

at::Tensor weight_normed_linear(
    const at::Tensor& x, const at::Tensor& v, const at::Tensor& g, bool frozen, WeightCopy& copy) {
  return WeightNormedLinear::apply(x, v, g, copy.of(v, compute_type()), frozen);
}

DinoHead::DinoHead(int64_t in_dim, const DinoHeadOptions& options) {
  add_mlp(in_dim, options);
  init_linears_trunc_normal(*this);
  const Prototypes last = add_prototypes("last_layer", options.out_dim, options);
  weight_g = last.g;
  weight_v = last.v;
}

double DinoHead::macs(int64_t in_dim, const DinoHeadOptions& o) {
  const int64_t first = o.layers == 1 ? o.bottleneck_dim : o.hidden_dim;
  int64_t macs = in_dim * first + o.bottleneck_dim * o.out_dim;
  if (o.layers > 1) {
    macs += o.hidden_dim * (o.hidden_dim * (o.layers - 2) + o.bottleneck_dim);
  }
  return static_cast<double>(macs);
}

// Layers are numbered as in the official Sequential, where GELUs count too. A single layer has no
// number there.
void DinoHead::add_mlp(int64_t in_dim, const DinoHeadOptions& o) {
  if (o.layers == 1) {
    linears_.push_back(register_module("mlp", std::make_shared<Linear>(in_dim, o.bottleneck_dim)));
    return;
  }
  const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  int64_t place = 0;
  for (int64_t i = 0; i < o.layers; ++i) {
    const bool last = i + 1 == o.layers;
    linears_.push_back(
        mlp->register_module(std::to_string(place++),
                             std::make_shared<Linear>(i == 0 ? in_dim : o.hidden_dim,
                                                      last ? o.bottleneck_dim : o.hidden_dim)));
    if (last) break;
    if (o.use_bn) {
      norms_.push_back(
          mlp->register_module(std::to_string(place++), std::make_shared<BatchNorm>(o.hidden_dim)));
    }
    ++place;  // GELU
  }
}

DinoHead::Prototypes DinoHead::add_prototypes(const std::string& name,
                                              int64_t count,
                                              const DinoHeadOptions& o) {
  const auto layer = register_module(name, std::make_shared<torch::nn::Module>());
  const Prototypes made{
      layer->register_parameter(
          "weight_g", torch::ones({count, 1}), /*requires_grad=*/!o.norm_last_layer),
      layer->register_parameter("weight_v", torch::zeros({count, o.bottleneck_dim}))};
  const torch::NoGradGuard no_grad;
  conv_default_(made.v, torch::empty({0}));  // the framework's default for a linear layer too
  return made;
}

at::Tensor DinoHead::compare(const at::Tensor& rows,
                             const at::Tensor& v,
                             const at::Tensor& g,
                             WeightCopy& copy) const {
  return weight_normed_linear(rows, v, g, frozen_, copy);
}

at::Tensor DinoHead::bottleneck(const at::Tensor& features) {
  at::Tensor x = features;
  for (size_t i = 0; i + 1 < linears_.size(); ++i) {
    x = norms_.empty() ? linears_[i]->forward_gelu(x)
                       : torch::gelu(norms_[i]->forward(linears_[i]->forward(x)));
  }
  return unit_length(linears_.back()->forward(x).to(torch::kFloat32));
}

at::Tensor DinoHead::forward(const at::Tensor& features) {
  return compare(bottleneck(features), weight_v, weight_g, weight_v_copy_);
}

}  // namespace previt
