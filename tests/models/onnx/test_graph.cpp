#include <filesystem>
#include <numeric>

#include "files.h"
#include "models/onnx/graph.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace std::string_literals;
using onnx::Dim;

namespace {

std::shared_ptr<const float> floats(std::vector<float> values) {
  const auto owner = std::make_shared<std::vector<float>>(std::move(values));
  return {owner, owner->data()};
}

// A field that holds a text or message of less than 128 bytes, written out by hand.
std::string sized(int field, const std::string& bytes) {
  return std::string{static_cast<char>(field << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

}  // namespace

TEST_CASE("a small model has the bytes that onnx.proto says", "[onnx]") {
  const TempFolder temp;
  onnx::Graph graph(13);
  graph.add_input("x", {Dim("N"), Dim(2)});
  graph.add_constant("c", {2}, floats({1, -2}));
  graph.add_integers("i", {-1});
  graph.add_node("Sum",
                 "y",
                 {"x", "c"},
                 {{"a", int64_t{0}}, {"f", 1.0F}, {"s", "z"s}, {"n", std::vector<int64_t>{3, 4}}});
  graph.add_output("y", {Dim("N"), Dim(2)});
  graph.describe("k", "v");
  graph.write(temp.path() + "/m.onnx");

  const std::string attributes =
      sized(5, sized(1, "a") + "\x18\x00\xA0\x01\x02"s) +              // i = 0, INT
      sized(5, sized(1, "f") + "\x15\x00\x00\x80\x3F\xA0\x01\x01"s) +  // f = 1, FLOAT
      sized(5, sized(1, "s") + sized(4, "z") + "\xA0\x01\x03"s) +      // STRING
      sized(5, sized(1, "n") + "\x40\x03\x40\x04\xA0\x01\x07"s);       // INTS
  const std::string node =
      sized(1, "x") + sized(1, "c") + sized(2, "y") + sized(3, "y") + sized(4, "Sum") + attributes;
  const std::string shape = sized(1, sized(2, "N")) + sized(1, "\x08\x02"s);
  const std::string type = sized(2, sized(1, "\x08\x01"s + sized(2, shape)));
  const std::string c = "\x08\x02\x10\x01"s + sized(8, "c") + sized(9, "\0\0\x80\x3F\0\0\0\xC0"s);
  const std::string i = "\x08\x01\x10\x07"s + sized(8, "i") + sized(9, std::string(8, '\xFF'));
  const std::string body = sized(1, node) + sized(11, sized(1, "x") + type) +
                           sized(12, sized(1, "y") + type) + sized(2, "vit") + sized(5, c) +
                           sized(5, i);
  REQUIRE(body.size() > 127);
  const std::string size = {static_cast<char>((body.size() & 0x7F) | 0x80),
                            static_cast<char>(body.size() >> 7)};
  const std::string model = "\x08\x07"s + sized(2, "PreViT") + sized(3, PREVIT_VERSION) +
                            sized(8, sized(1, "") + "\x10\x0D"s) + "\x3A"s + size + body +
                            sized(14, sized(1, "k") + sized(2, "v"));
  CHECK(read_whole_file(temp.path() + "/m.onnx") == model);
  CHECK_FALSE(std::filesystem::exists(temp.path() + "/m.onnx.data"));
}

TEST_CASE("large constants of a file that is too large lie beside it", "[onnx]") {
  const TempFolder temp;
  std::vector<float> first(256), second(300);
  std::iota(first.begin(), first.end(), 1.0F);
  std::iota(second.begin(), second.end(), 1000.0F);
  onnx::Graph graph(18);
  graph.add_constant("first", {256}, floats(first));
  graph.add_constant("small", {2}, floats({5, 6}));
  graph.add_constant("second", {300}, floats(second));
  const std::string path = temp.path() + "/m.onnx";
  graph.write(path, 2000);
  const std::string data = read_whole_file(path + ".data"), model = read_whole_file(path);
  REQUIRE(data.size() == 4 * (256 + 300));
  const auto* values = reinterpret_cast<const float*>(data.data());
  CHECK(std::vector<float>(values, values + 256) == first);
  CHECK(std::vector<float>(values + 256, values + 556) == second);
  CHECK(model.size() < 400);
  const auto entry = [](const std::string& key, const std::string& value) {
    return sized(13, sized(1, key) + sized(2, value));
  };
  CHECK_THAT(model,
             ContainsSubstring("\x70\x01" + entry("location", "m.onnx.data") +
                               entry("offset", "1024") + entry("length", "1200")));
  CHECK_THAT(model, ContainsSubstring(sized(8, "small") + sized(9, "\0\0\xA0\x40\0\0\xC0\x40"s)));

  // The same model, where the limit allows one file.
  graph.write(temp.path() + "/whole.onnx", 3000);
  CHECK(read_whole_file(temp.path() + "/whole.onnx").size() > data.size());
  CHECK_FALSE(std::filesystem::exists(temp.path() + "/whole.onnx.data"));
}

TEST_CASE("a model that can't be written leaves nothing", "[onnx]") {
  const TempFolder temp;
  const onnx::Graph graph(13);
  CHECK_THROWS_WITH(graph.write(temp.path() + "/none/m.onnx"),
                    temp.path() + "/none/m.onnx: No such file or directory");
}
