#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/layers/pos_embed.h"
#include "models/onnx/graph.h"
#include "models/onnx/vit_weights.h"

namespace previt::onnx {

/// What a network consists of, in operators of ONNX. Values and nodes are named by the first
/// argument; what an operation needs besides them has names that begin with it. Results are values.
class Operators {
 public:
  Graph graph;

  explicit Operators(int64_t opset) : graph(opset) {}

  /// A tensor as float32, which must not change before the graph is written.
  std::string constant(const std::string& name, const at::Tensor& values);

  std::string reshape(const std::string& name, const std::string& x, std::vector<int64_t> shape);
  std::string transpose(const std::string& name,
                        const std::string& x,
                        const std::vector<int64_t>& order);
  /// From `begin` up to the one before `end`, which may be past the last.
  std::string slice(
      const std::string& name, const std::string& x, int64_t axis, int64_t begin, int64_t end);
  /// x [N, T, D] → its row [N, D].
  std::string row(const std::string& name, const std::string& x, int64_t index);
  /// The mean row of x [N, T, D]: [N, D].
  std::string mean_row(const std::string& name, const std::string& x);

  /// `count` rows of zeros before those of x [N, T, D].
  std::string pad_rows(const std::string& name, const std::string& x, int64_t count);
  /// The same rows [1, P, D] before those of every image of x [N, T, D].
  std::string concat_rows(const std::string& name, const std::string& rows, const std::string& x);

  /// x [..., I] → [..., O].
  std::string linear(const std::string& name, const std::string& x, const Layer& layer);
  /// Over the last dimension of x: [N, T, D], or with 0 `rows` [N, D]. `rows` is T where it is
  /// known.
  std::string layer_norm(
      const std::string& name, const std::string& x, int64_t rows, const Layer& affine, double eps);
  std::string gelu(const std::string& name, const std::string& x);  ///< the exact one

  /// x [1, D, h, w] at the size of `like` [N, D, h', w'], as resize_pos_embed does it.
  std::string resize_bicubic(const std::string& name,
                             const at::Tensor& x,
                             const std::string& like,
                             PosResize how);

 private:
  std::string offset_scales(const std::string& name,
                            const std::string& sides,
                            const std::vector<int64_t>& own,
                            double offset);
};

}  // namespace previt::onnx
