#include "models/onnx/vit_graph.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <limits>

#include "error.h"
#include "models/layers/patch_embed.h"
#include "models/layers/pos_embed.h"
#include "models/onnx/operators.h"
#include "models/onnx/vit_weights.h"
#include "models/vit.h"

namespace previt::onnx {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

void require_possible(const VitOptions& o, const VitGraphOptions& options) {
  if (options.outputs == Outputs::logits && o.num_classes == 0) {
    fail_usage("outputs: logits, but the network has no classes");
  }
  if (!options.dynamic_size) return;
  if (options.opset < kNewOpset) {
    fail_usage("opset: {}, but images of any size need {}", options.opset, kNewOpset);
  }
  if (o.rel_pos_bias != RelPosBias::none) {
    fail_usage("dynamic size: this network's relative positions belong to one size");
  }
}

class VitGraph {
 public:
  VitGraph(Vit& vit, const VitGraphOptions& options)
      : model_(vit.options()),
        options_(options),
        weights_(vit),
        operators_(options.opset),
        biases_(vit.attention_biases({model_.grid_height(), model_.grid_width()})) {}

  Graph build() {
    add_input();
    std::string tokens = embed();
    // Only the tokens that the classifier reads leave the last block.
    const bool few = options_.outputs == Outputs::logits && model_.pool == Pooling::cls;
    for (int64_t i = 0; i < model_.depth; ++i) {
      const bool last = i + 1 == model_.depth;
      tokens = block(i, tokens, last && few ? model_.num_class_tokens() : kEnd);
    }
    if (options_.outputs == Outputs::logits) {
      add_logits(tokens);
    } else {
      add_features(tokens);
    }
    return std::move(operators_.graph);
  }

 private:
  Dim patches_dim() const { return options_.dynamic_size ? Dim("L") : Dim(model_.num_patches()); }
  int64_t num_tokens() const { return model_.num_prefix_tokens() + model_.num_patches(); }
  // The LayerNorm `of` of x [N, rows, D], or with 0 rows [N, D].
  std::string norm(const std::string& name,
                   const std::string& x,
                   int64_t rows,
                   const std::string& of) {
    return operators_.layer_norm(name, x, rows, weights_.layer(of), model_.norm_eps);
  }
  std::string final_norm(const std::string& name, const std::string& x, int64_t rows) {
    return norm(name, x, rows, model_.pool == Pooling::avg ? "fc_norm" : "norm");
  }
  std::string linear(const std::string& name, const std::string& x) {
    return operators_.linear(name, x, weights_.layer(name));
  }

  void add_input();
  void add_output(const std::string& name, const std::string& value, std::vector<Dim> shape);
  std::string patches();
  std::string embed();
  std::string resized_positions(const std::string& patches);
  std::string block(int64_t index, const std::string& x, int64_t count);
  std::string attention(int64_t index, const std::string& x, int64_t count);
  std::string hidden(const std::string& name, const std::string& x);
  std::string add_branch(const std::string& x,
                         const std::string& branch,
                         const std::string& layer,
                         const std::string& scale);
  std::string pooled_patches(const std::string& tokens);
  void add_logits(const std::string& tokens);
  void add_features(const std::string& tokens);

  const VitOptions& model_;
  const VitGraphOptions& options_;
  VitWeights weights_;
  Operators operators_;
  std::vector<at::Tensor> biases_;  // relative positions of every block
};

void VitGraph::add_input() {
  const Dim height = options_.dynamic_size ? Dim("H") : Dim(model_.image_height());
  const Dim width = options_.dynamic_size ? Dim("W") : Dim(model_.image_width());
  operators_.graph.add_input("pixels", {Dim("N"), model_.in_channels, height, width});
}

// Gives a value the name of an output.
void VitGraph::add_output(const std::string& name,
                          const std::string& value,
                          std::vector<Dim> shape) {
  shape.insert(shape.begin(), Dim("N"));
  operators_.graph.add_node("Identity", name, {value});
  operators_.graph.add_output(name, shape);
}

// [N, D, rows, columns]
std::string VitGraph::patches() {
  const Layer layer = weights_.projection(options_.raw_pixels ? &options_.normalize : nullptr);
  const std::vector<int64_t> square = {model_.patch_size, model_.patch_size};
  return operators_.graph.add_node("Conv",
                                   "patch_embed",
                                   {"pixels",
                                    operators_.constant("patch_embed.weight", layer.weight),
                                    operators_.constant("patch_embed.bias", layer.bias)},
                                   {{"kernel_shape", square}, {"strides", square}});
}

// The positions of the patches, [1, D, rows, columns], at the size of `patches`.
std::string VitGraph::resized_positions(const std::string& patches) {
  const std::vector<int64_t> shape = {1, -1, model_.grid_height(), model_.grid_width()};
  const at::Tensor grid = weights_.places().transpose(1, 2).reshape(shape);
  return operators_.resize_bicubic("pos_embed", grid, patches, pos_resize(model_.pos_resize));
}

// [N, T, D]
std::string VitGraph::embed() {
  Operators& op = operators_;
  std::string grid = patches();
  const at::Tensor prefix = weights_.prefix(), places = weights_.places();
  if (options_.dynamic_size && places.defined()) {
    grid = op.graph.add_node("Add", "patch_embed/placed", {grid, resized_positions(grid)});
  }
  const std::string flat = op.reshape("patch_embed/flat", grid, {0, model_.embed_dim, -1});
  const std::string patches = op.transpose("patch_embed/tokens", flat, {0, 2, 1});
  if (options_.dynamic_size) {
    if (!prefix.defined()) return patches;
    return op.concat_rows("tokens", op.constant("prefix", prefix), patches);
  }
  if (!prefix.defined() && !places.defined()) return patches;
  // Rows of zeros make place for the tokens, which are then added with the positions: that works
  // for any number of images without knowing it.
  const int64_t count = prefix.defined() ? prefix.size(1) : 0;
  const at::Tensor own =
      places.defined() ? places : torch::zeros({1, model_.num_patches(), model_.embed_dim});
  const at::Tensor rows = prefix.defined() ? torch::cat({prefix, own}, 1) : own;
  const std::string padded = count == 0 ? patches : op.pad_rows("tokens/padded", patches, count);
  return op.graph.add_node(
      "Add", "tokens", {padded, op.constant("tokens/places", rows.squeeze(0))});
}

// The last layer of a branch, added to `x`.
std::string VitGraph::add_branch(const std::string& x,
                                 const std::string& branch,
                                 const std::string& layer,
                                 const std::string& scale) {
  const std::string made = operators_.linear(layer, branch, weights_.scaled(layer, scale));
  return operators_.graph.add_node("Add", layer + "/added", {x, made});
}

// The first `count` tokens after this block.
std::string VitGraph::block(int64_t index, const std::string& x, int64_t count) {
  const std::string name = "blocks." + std::to_string(index);
  const std::string first = name + ".norm1", second = name + ".norm2";
  const std::string attended = attention(index, norm(first, x, num_tokens(), first), count);
  const std::string own = count == kEnd ? x : operators_.slice(name + "/own", x, 1, 0, count);
  const std::string middle = add_branch(own, attended, name + ".attn.proj", name + ".ls1");
  const std::string normed = norm(second, middle, std::min(count, num_tokens()), second);
  const std::string last = model_.mlp == MlpKind::gelu ? ".mlp.fc2" : ".mlp.w3";
  return add_branch(middle, hidden(name + ".mlp", normed), name + last, name + ".ls2");
}

std::string VitGraph::attention(int64_t index, const std::string& x, int64_t count) {
  Operators& op = operators_;
  const std::string block = "blocks." + std::to_string(index), name = block + ".attn";
  const int64_t heads = model_.num_heads, width = model_.attention_width();
  const auto part = [&](const std::string& of,
                        const std::string& from,
                        int64_t number,
                        const std::vector<int64_t>& order) {
    const std::string made = op.linear(of, from, weights_.attention_part(block, number));
    const std::string split = op.reshape(of + "/split", made, {0, -1, heads, width / heads});
    return op.transpose(of + "/heads", split, order);
  };
  const std::string asking = count == kEnd ? x : op.slice(name + "/asking", x, 1, 0, count);
  const std::string q = part(name + ".q", asking, 0, {0, 2, 1, 3});
  const std::string k = part(name + ".k", x, 1, {0, 2, 3, 1});
  const std::string v = part(name + ".v", x, 2, {0, 2, 1, 3});
  std::string logits = op.graph.add_node("MatMul", name + "/logits", {q, k});
  if (const at::Tensor& places = biases_[static_cast<size_t>(index)]; places.defined()) {
    const std::string table = op.constant(name + "/places", places.slice(1, 0, count));
    logits = op.graph.add_node("Add", name + "/placed", {logits, table});
  }
  const std::string p =
      op.graph.add_node("Softmax", name + "/weights", {logits}, {{"axis", int64_t{-1}}});
  const std::string mixed = op.graph.add_node("MatMul", name + "/mixed", {p, v});
  const std::string rows = op.transpose(name + "/by_token", mixed, {0, 2, 1, 3});
  return op.reshape(name + "/joined", rows, {0, -1, width});
}

// What the last layer of the MLP reads.
std::string VitGraph::hidden(const std::string& name, const std::string& x) {
  Operators& op = operators_;
  if (model_.mlp == MlpKind::gelu) {
    return op.gelu(name + ".act", linear(name + ".fc1", x));
  }
  const std::string gate = op.linear(name + ".w1", x, weights_.half(name + ".w12", 0));
  const std::string value = op.linear(name + ".w2", x, weights_.half(name + ".w12", 1));
  const std::string open = op.graph.add_node("Sigmoid", name + "/open", {gate});
  const std::string silu = op.graph.add_node("Mul", name + "/silu", {gate, open});
  return op.graph.add_node("Mul", name + "/gated", {silu, value});
}

// [N, D]: the network's own pooling where it averages its patches.
std::string VitGraph::pooled_patches(const std::string& tokens) {
  const int64_t prefix = model_.num_prefix_tokens();
  const bool normed_before = model_.pool == Pooling::norm_avg;
  const std::string all = normed_before ? final_norm("pool/norm", tokens, num_tokens()) : tokens;
  const std::string rows =
      prefix == 0 ? all : operators_.slice("pool/patches", all, 1, prefix, kEnd);
  const std::string mean = operators_.mean_row("pool/mean", rows);
  return normed_before ? mean : final_norm("pool/norm", mean, 0);
}

void VitGraph::add_logits(const std::string& tokens) {
  Operators& op = operators_;
  std::string logits;
  if (model_.pool != Pooling::cls) {
    logits = linear("head", pooled_patches(tokens));
  } else {
    const std::string normed = final_norm("norm", tokens, model_.num_class_tokens());
    logits = linear("head", op.row("cls_token/row", normed, 0));
    if (weights_.get("head_dist.weight").defined()) {
      const std::string other = linear("head_dist", op.row("dist_token/row", normed, 1));
      const std::string sum = op.graph.add_node("Add", "heads/sum", {logits, other});
      logits = op.graph.add_node("Mul", "heads/mean", {sum, op.graph.scalar(0.5F)});
    }
  }
  add_output("logits", logits, {model_.num_classes});
}

void VitGraph::add_features(const std::string& tokens) {
  Operators& op = operators_;
  const int64_t prefix = model_.num_prefix_tokens(), width = model_.embed_dim;
  if (model_.pool != Pooling::cls) add_output("pooled", pooled_patches(tokens), {width});
  const std::string normed = final_norm("norm", tokens, num_tokens());
  if (model_.cls_token) add_output("cls", op.row("cls_token/row", normed, 0), {width});
  const std::string rows = prefix == 0 ? normed : op.slice("patches/rows", normed, 1, prefix, kEnd);
  add_output("mean", op.mean_row("patches/mean", rows), {width});
  add_output("patches", rows, {patches_dim(), width});
  if (options_.outputs != Outputs::attention) return;
  const Dim all = options_.dynamic_size ? Dim("T") : Dim(prefix + model_.num_patches());
  const std::string last = fmt::format("blocks.{}.attn/weights", model_.depth - 1);
  add_output("attention", last, {model_.num_heads, all, all});
}

}  // namespace

Graph vit_graph(Vit& vit, const VitGraphOptions& options) {
  require_possible(vit.options(), options);
  const torch::NoGradGuard no_grad;
  return VitGraph(vit, options).build();
}

}  // namespace previt::onnx
