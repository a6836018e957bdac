#include "models/onnx/operators.h"

#include <torch/types.h>

#include <cmath>
#include <memory>

namespace previt::onnx {
namespace {

constexpr int64_t kLayerNormOpset = 17;  // the first that has LayerNormalization

}  // namespace

std::string Operators::constant(const std::string& name, const at::Tensor& values) {
  const auto owner =
      std::make_shared<at::Tensor>(values.detach().to(torch::kCPU, torch::kFloat).contiguous());
  return graph.add_constant(name,
                            owner->sizes().vec(),
                            std::shared_ptr<const float>(owner, owner->const_data_ptr<float>()));
}

std::string Operators::reshape(const std::string& name,
                               const std::string& x,
                               std::vector<int64_t> shape) {
  return graph.add_node("Reshape", name, {x, graph.add_integers(name + "/shape", shape)});
}

std::string Operators::transpose(const std::string& name,
                                 const std::string& x,
                                 const std::vector<int64_t>& order) {
  return graph.add_node("Transpose", name, {x}, {{"perm", order}});
}

std::string Operators::slice(
    const std::string& name, const std::string& x, int64_t axis, int64_t begin, int64_t end) {
  return graph.add_node("Slice",
                        name,
                        {x,
                         graph.add_integers(name + "/begin", {begin}),
                         graph.add_integers(name + "/end", {end}),
                         graph.add_integers(name + "/axis", {axis})});
}

std::string Operators::row(const std::string& name, const std::string& x, int64_t index) {
  return graph.add_node(
      "Flatten", name, {slice(name + "/slice", x, 1, index, index + 1)}, {{"axis", int64_t{1}}});
}

std::string Operators::mean_row(const std::string& name, const std::string& x) {
  const std::string columns = transpose(name + "/columns", x, {0, 2, 1});
  const std::string means = graph.add_node("GlobalAveragePool", name + "/means", {columns});
  return graph.add_node("Flatten", name, {means}, {{"axis", int64_t{1}}});
}

std::string Operators::pad_rows(const std::string& name, const std::string& x, int64_t count) {
  return graph.add_node(
      "Pad", name, {x, graph.add_integers(name + "/pads", {0, count, 0, 0, 0, 0})});
}

std::string Operators::concat_rows(const std::string& name,
                                   const std::string& rows,
                                   const std::string& x) {
  const std::string size = graph.add_node("Shape", name + "/size", {x});
  const std::string images = slice(name + "/images", size, 0, 0, 1);
  const std::string shape = graph.add_node("Concat",
                                           name + "/shape",
                                           {images, graph.add_integers(name + "/ones", {1, 1})},
                                           {{"axis", int64_t{0}}});
  const std::string repeated = graph.add_node("Expand", name + "/repeated", {rows, shape});
  return graph.add_node("Concat", name, {repeated, x}, {{"axis", int64_t{1}}});
}

std::string Operators::linear(const std::string& name, const std::string& x, const Layer& layer) {
  const std::string matrix = constant(name + ".weight", layer.weight.t());
  if (!layer.bias.defined()) return graph.add_node("MatMul", name, {x, matrix});
  const std::string product = graph.add_node("MatMul", name + "/product", {x, matrix});
  return graph.add_node("Add", name, {product, constant(name + ".bias", layer.bias)});
}

std::string Operators::layer_norm(
    const std::string& name, const std::string& x, int64_t rows, const Layer& affine, double eps) {
  const std::string gain = constant(name + ".weight", affine.weight);
  const std::string shift = constant(name + ".bias", affine.bias);
  const Attribute epsilon = {"epsilon", static_cast<float>(eps)};
  if (graph.opset() >= kLayerNormOpset) {
    return graph.add_node(
        "LayerNormalization", name, {x, gain, shift}, {{"axis", int64_t{-1}}, epsilon});
  }
  // An image of one channel for each row. OpenCV 4.6 multiplies two-dimensional values alone by
  // column, and forgets the number of images in all other ways to write this.
  const int64_t width = affine.weight.size(0);
  const std::string apart = reshape(name + "/apart", x, {-1, 1, width});
  const std::string unit = graph.add_node(
      "InstanceNormalization",
      name + "/unit",
      {apart, constant(name + "/one", torch::ones(1)), constant(name + "/zero", torch::zeros(1))},
      {epsilon});
  const std::string flat = reshape(name + "/flat", unit, {-1, width});
  const std::string scaled = graph.add_node("Mul", name + "/scaled", {flat, gain});
  if (rows == 0) return graph.add_node("Add", name, {scaled, shift});
  const std::string shifted = graph.add_node("Add", name + "/shifted", {scaled, shift});
  return reshape(name, shifted, {-1, rows, width});
}

// In the form that ONNX Runtime makes one operation of.
std::string Operators::gelu(const std::string& name, const std::string& x) {
  const std::string scaled = graph.add_node(
      "Div", name + "/scaled", {x, graph.scalar(static_cast<float>(std::sqrt(2.0)))});
  const std::string erf = graph.add_node("Erf", name + "/erf", {scaled});
  const std::string share = graph.add_node("Add", name + "/share", {erf, graph.scalar(1.0F)});
  const std::string twice = graph.add_node("Mul", name + "/twice", {x, share});
  return graph.add_node("Mul", name, {twice, graph.scalar(0.5F)});
}

// The scale that DINO's convention resizes by: (new + offset) / old, but 1 where the size stays.
std::string Operators::offset_scales(const std::string& name,
                                     const std::string& sides,
                                     const std::vector<int64_t>& own,
                                     double offset) {
  const Attribute to_float = {"to", int64_t{1}};
  const std::string before = graph.add_integers(name + "/before", own);
  const std::string same = graph.add_node("Equal", name + "/same", {sides, before});
  const std::string moved = graph.add_node(
      "Cast", name + "/moved", {graph.add_node("Not", name + "/differs", {same})}, {to_float});
  // One side that changes moves both.
  const std::string any = graph.add_node("ReduceMax", name + "/any", {moved});
  const std::string added =
      graph.add_node("Mul", name + "/added", {any, graph.scalar(static_cast<float>(offset))});
  const std::string after = graph.add_node("Cast", name + "/after", {sides}, {to_float});
  const std::string reached = graph.add_node("Add", name + "/reached", {after, added});
  const std::string divisor = graph.add_node("Cast", name + "/divisor", {before}, {to_float});
  return graph.add_node("Div", name + "/scales", {reached, divisor});
}

std::string Operators::resize_bicubic(const std::string& name,
                                      const at::Tensor& x,
                                      const std::string& like,
                                      PosResize how) {
  std::vector<Attribute> attributes = {{"mode", std::string("cubic")},
                                       {"cubic_coeff_a", how.antialias ? -0.5F : -0.75F}};
  if (how.antialias) {
    attributes.push_back({"antialias", int64_t{1}});
    attributes.push_back({"exclude_outside", int64_t{1}});
  }
  const std::vector<int64_t> own = {x.size(2), x.size(3)};
  const std::string from = constant(name + "/from", x);
  const std::string size = graph.add_node("Shape", name + "/size", {like});
  const std::string sides = slice(name + "/sides", size, 0, 2, 4);
  const auto after_channels = [&](const std::string& first, const std::string& last) {
    return graph.add_node("Concat", name + "/to", {first, last}, {{"axis", int64_t{0}}});
  };
  if (how.offset == 0) {
    const std::string to =
        after_channels(graph.add_integers(name + "/channels", {1, x.size(1)}), sides);
    return graph.add_node("Resize", name, {from, "", "", to}, attributes);
  }
  const std::string ones = constant(name + "/ones", torch::ones({2}));
  const std::string to = after_channels(ones, offset_scales(name, sides, own, how.offset));
  return graph.add_node("Resize", name, {from, "", to}, attributes);
}

}  // namespace previt::onnx
