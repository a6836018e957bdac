#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "models/onnx/wire.h"

namespace previt::onnx {

/// A dimension: a number, or a name for one that only a run knows.
using Dim = std::variant<int64_t, std::string>;

/// An operator's attribute.
struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>> value;
};

/// A model in the making, as onnx.proto (github.com/onnx/onnx) describes it. Values are known by
/// their names, of which each is given once. All are float32 unless it is said otherwise.
class Graph {
 public:
  /// What protocol buffers can hold. OpenCV reads nothing larger.
  static constexpr uint64_t kLargestFile = (uint64_t{1} << 31U) - 1;

  /// `opset`: version of the operators of ONNX's default domain.
  explicit Graph(int64_t opset) : opset_(opset) {}

  int64_t opset() const { return opset_; }

  void add_input(const std::string& name, const std::vector<Dim>& shape);
  void add_output(const std::string& name, const std::vector<Dim>& shape);
  /// An entry of metadata_props.
  void describe(const std::string& key, const std::string& value);

  /// A constant. `values` is kept until the graph is gone; `shape` says how many there are. Returns
  /// its name.
  std::string add_constant(const std::string& name,
                           const std::vector<int64_t>& shape,
                           std::shared_ptr<const float> values);
  /// A constant [n] of int64.
  std::string add_integers(const std::string& name, const std::vector<int64_t>& values);
  /// A constant without dimensions. One of the same value is shared.
  std::string scalar(float value);

  /// A node with one output. Returns that output, which has the node's name.
  std::string add_node(const std::string& operation,
                       const std::string& name,
                       const std::vector<std::string>& inputs,
                       const std::vector<Attribute>& attributes = {});

  /// Writes the model and flushes it to disk; it appears under its name only once it is whole. If
  /// it is larger than `largest_file`, its large constants go to PATH.data. Throws Error led by the
  /// path.
  void write(const std::string& path, uint64_t largest_file = kLargestFile) const;

 private:
  struct Constant {
    Message head;  // TensorProto without its values
    std::shared_ptr<const void> values;
    uint64_t size;  // bytes
  };

  struct Piece;
  struct Layout;

  void keep(const std::string& name,
            int64_t type,
            const std::vector<int64_t>& shape,
            Constant constant);
  // data_name: the file for large constants; "": all are in the model's own.
  Layout layout(const std::string& data_name) const;
  static void write_pieces(const std::string& path,
                           const std::string& first,
                           const std::vector<Piece>& pieces,
                           const std::string& last);

  int64_t opset_;
  Message nodes_, ends_, metadata_;  // fields of GraphProto, and of ModelProto
  std::vector<Constant> constants_;
  std::map<float, std::string> scalars_;
};

}  // namespace previt::onnx
