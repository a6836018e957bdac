#include "models/onnx/graph.h"

#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>

#include "error.h"
#include "unfinished_file.h"

namespace previt::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

// Numbers of fields, types and versions in onnx.proto.
constexpr int64_t kFloat32 = 1, kInt64 = 7;
constexpr int64_t kExternal = 1;

namespace model_field {
constexpr int ir_version = 1, producer_name = 2, producer_version = 3, graph = 7, opset_import = 8,
              metadata_props = 14;
}
namespace graph_field {
constexpr int node = 1, name = 2, initializer = 5, input = 11, output = 12;
}
namespace node_field {
constexpr int input = 1, output = 2, name = 3, op_type = 4, attribute = 5;
}
namespace attribute_field {
constexpr int name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20;
}
namespace tensor_field {
constexpr int dims = 1, data_type = 2, name = 8, raw_data = 9, external_data = 13,
              data_location = 14;
}

// Constants below this many bytes stay in the model's file: shapes must be readable there.
constexpr uint64_t kSmall = 1024;

// The version of the format that came with a version of the operators (onnx/helper.py, its table).
int64_t ir_version(int64_t opset) { return opset < 15 ? 7 : opset < 19 ? 8 : 9; }

Message entry(const std::string& key, const std::string& value) {  // StringStringEntryProto
  return Message().text(1, key).text(2, value);
}

Message value_info(const std::string& name, const std::vector<Dim>& shape) {
  Message dims;
  for (const Dim& dim : shape) {
    const auto* size = std::get_if<int64_t>(&dim);
    dims.message(1,
                 size != nullptr ? Message().integer(1, *size)
                                 : Message().text(2, std::get<std::string>(dim)));
  }
  const Message tensor = Message().integer(1, kFloat32).message(2, dims);
  return Message().text(1, name).message(2, Message().message(1, tensor));
}

// The value, and what onnx.proto calls its type.
struct AttributeWriter {
  Message& message;
  int64_t operator()(int64_t value) const { return message.integer(attribute_field::i, value), 2; }
  int64_t operator()(float value) const { return message.real(attribute_field::f, value), 1; }
  int64_t operator()(const std::string& value) const {
    return message.text(attribute_field::s, value), 3;
  }
  int64_t operator()(const std::vector<int64_t>& values) const {
    for (const int64_t value : values) message.integer(attribute_field::ints, value);
    return 7;
  }
};

Message attribute_message(const Attribute& attribute) {
  Message message;
  message.text(attribute_field::name, attribute.name);
  const int64_t type = std::visit(AttributeWriter{message}, attribute.value);
  return message.integer(attribute_field::type, type);
}

}  // namespace

void Graph::add_input(const std::string& name, const std::vector<Dim>& shape) {
  ends_.message(graph_field::input, value_info(name, shape));
}

void Graph::add_output(const std::string& name, const std::vector<Dim>& shape) {
  ends_.message(graph_field::output, value_info(name, shape));
}

void Graph::describe(const std::string& key, const std::string& value) {
  metadata_.message(model_field::metadata_props, entry(key, value));
}

void Graph::keep(const std::string& name,
                 int64_t type,
                 const std::vector<int64_t>& shape,
                 Constant constant) {
  for (const int64_t size : shape) constant.head.integer(tensor_field::dims, size);
  constant.head.integer(tensor_field::data_type, type).text(tensor_field::name, name);
  constants_.push_back(std::move(constant));
}

std::string Graph::add_constant(const std::string& name,
                                const std::vector<int64_t>& shape,
                                std::shared_ptr<const float> values) {
  const auto count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  keep(name,
       kFloat32,
       shape,
       {.head = {},
        .values = std::move(values),
        .size = static_cast<uint64_t>(count) * sizeof(float)});
  return name;
}

std::string Graph::add_integers(const std::string& name, const std::vector<int64_t>& values) {
  const auto owner = std::make_shared<std::vector<int64_t>>(values);
  keep(name,
       kInt64,
       {std::ssize(values)},
       {.head = {},
        .values = std::shared_ptr<const void>(owner, owner->data()),
        .size = values.size() * sizeof(int64_t)});
  return name;
}

std::string Graph::scalar(float value) {
  const auto [it, is_new] = scalars_.try_emplace(value, fmt::format("scalar_{}", value));
  if (is_new) add_constant(it->second, {}, std::make_shared<float>(value));
  return it->second;
}

std::string Graph::add_node(const std::string& operation,
                            const std::string& name,
                            const std::vector<std::string>& inputs,
                            const std::vector<Attribute>& attributes) {
  Message node;
  for (const std::string& input : inputs) node.text(node_field::input, input);
  node.text(node_field::output, name).text(node_field::name, name);
  node.text(node_field::op_type, operation);
  for (const Attribute& attribute : attributes) {
    node.message(node_field::attribute, attribute_message(attribute));
  }
  nodes_.message(graph_field::node, node);
  return name;
}

// Values that follow `head` in a file.
struct Graph::Piece {
  std::string head;
  const void* values;
  uint64_t size;
};

void Graph::write_pieces(const std::string& path,
                         const std::string& first,
                         const std::vector<Piece>& pieces,
                         const std::string& last) {
  UnfinishedFile unfinished(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(unfinished.path().c_str(), "wb"), std::fclose);
  require_system(file != nullptr, path);
  const auto add = [&](const void* data, uint64_t size) {
    require_system(std::fwrite(data, 1, size, file.get()) == size, path);
  };
  add(first.data(), first.size());
  for (const Piece& piece : pieces) {
    add(piece.head.data(), piece.head.size());
    add(piece.values, piece.size);
  }
  add(last.data(), last.size());
  const bool flushed = std::fflush(file.get()) == 0 && ::fsync(::fileno(file.get())) == 0;
  require_system(flushed, path);
  unfinished.finish();
}

// Where everything goes: `pieces` in the model's file after its first fields, `beside` in another.
struct Graph::Layout {
  std::vector<Piece> pieces, beside;
  uint64_t size = 0;  // of all pieces
};

Graph::Layout Graph::layout(const std::string& data_name) const {
  Layout layout;
  uint64_t offset = 0;
  for (const Constant& constant : constants_) {
    Message tensor = constant.head;
    uint64_t inside = constant.size;
    if (!data_name.empty() && constant.size >= kSmall) {
      inside = 0;
      tensor.integer(tensor_field::data_location, kExternal);
      for (const auto& [key, value] : {std::pair{"location", data_name},
                                       std::pair{"offset", std::to_string(offset)},
                                       std::pair{"length", std::to_string(constant.size)}}) {
        tensor.message(tensor_field::external_data, entry(key, value));
      }
      layout.beside.push_back({"", constant.values.get(), constant.size});
      offset += constant.size;
    } else {
      tensor.begin(tensor_field::raw_data, inside);
    }
    Message head;
    head.begin(graph_field::initializer, tensor.bytes().size() + inside);
    layout.pieces.push_back({head.bytes() + tensor.bytes(), constant.values.get(), inside});
    layout.size += layout.pieces.back().head.size() + inside;
  }
  return layout;
}

void Graph::write(const std::string& path, uint64_t largest_file) const {
  const std::string body =
      nodes_.bytes() + ends_.bytes() + Message().text(graph_field::name, "vit").bytes();
  Message model;
  model.integer(model_field::ir_version, ir_version(opset_))
      .text(model_field::producer_name, "PreViT")
      .text(model_field::producer_version, PREVIT_VERSION)
      .message(model_field::opset_import, Message().text(1, "").integer(2, opset_));
  // Messages begin with their size, so all of them are laid out before anything is written.
  Layout whole = layout("");
  if (whole.size + body.size() + model.bytes().size() + metadata_.bytes().size() > largest_file) {
    whole = layout(std::filesystem::path(path).filename().string() + ".data");
  }
  if (!whole.beside.empty()) write_pieces(path + ".data", "", whole.beside, "");
  model.begin(model_field::graph, body.size() + whole.size);
  write_pieces(path, model.bytes() + body, whole.pieces, metadata_.bytes());
}

}  // namespace previt::onnx
