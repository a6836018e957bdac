#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "error.h"
#include "files.h"
#include "models/weights/pth.h"
#include "models/weights/zip.h"
#include "support/catch.h"
#include "support/zip_writer.h"

namespace previt {
namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

PthFile parse_pickle(const std::string& pickle, const std::string& storage = "") {
  return parse_pth(write_zip({{"archive/data.pkl", pickle}, {"archive/data/0", storage}}),
                   "test.pth");
}

std::string text(const std::string& value) {
  return std::string("X").append(little_endian(value.size(), 4)).append(value);
}
std::string whole(int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<uint64_t>(value), 8);
}

// A float tensor [rows, columns] with strides over storage 0 of so many elements.
std::string tensor(int64_t elements,
                   int64_t offset,
                   std::vector<int64_t> sizes,
                   std::vector<int64_t> strides) {
  const auto tuple = [](const std::vector<int64_t>& values) {
    std::string items = "(";
    for (const int64_t value : values) items += whole(value);
    return items + "t";
  };
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text("0") + text("cpu") + whole(elements) + "tQ" + whole(offset) + tuple(sizes) +
         tuple(strides) + "\x89)tR.";
}

}  // namespace

TEST_CASE("CRC-32 is zip's") {
  CHECK(crc32("123456789", 9) == 0xCBF43926);
  CHECK(crc32("", 0) == 0);
}

TEST_CASE("all that a pickle may hold is read") {
  const PthFile file = read_pth(kFixtures + "pth_types_a.pth");
  const auto value = [&](const char* key) -> const PickleValue& { return *file.root->find(key); };
  CHECK(value("epoch").integer == 1099511627781);
  CHECK(value("neg").integer == -7);
  CHECK(value("big_text").text == std::string(300, 'x'));
  CHECK(value("unicode").text == "façade ☃");
  CHECK(value("np_float").real == 0.125);
  CHECK(torch::equal(value("np_array").tensor,
                     torch::arange(6, value("np_array").tensor.options()).reshape({2, 3})));
  CHECK(value("device").text == "cpu");
  CHECK(value("dtype").text == "torch.float32");
  CHECK(value("set").items.size() == 2);
  CHECK(pickle_to_json(value("size")) == nlohmann::json({2, 3}));
  CHECK(pickle_to_json(value("tuple4")) == nlohmann::json({1, 2.5, "a", nullptr}));
  CHECK(pickle_to_json(value("args")) ==
        nlohmann::json({{"lr", 0.1}, {"name", "n"}, {"inner", {{"x", 1}}}}));
}

TEST_CASE("views keep their strides and share memory") {
  const PthFile file = read_pth(kFixtures + "pth_types_a.pth");
  const NamedTensors tensors = tensors_in(*file.root->find("state_dict"));
  CHECK(tensors.at("transposed_view").is_alias_of(tensors.at("plain")));
  CHECK(tensors.at("slice_shared_storage").is_alias_of(tensors.at("plain")));
  CHECK(tensors.at("expanded").stride(0) == 0);
}

TEST_CASE("a tensor that reaches outside its data is refused") {
  const std::string storage(24, '\0');
  CHECK(parse_pickle(tensor(6, 0, {2, 3}, {3, 1}), storage).root->tensor.numel() == 6);
  CHECK(parse_pickle(tensor(6, 6, {0, 3}, {3, 1}), storage).root->tensor.numel() == 0);
  const int64_t huge = INT64_MAX;
  for (const auto& bad : {tensor(6, 1, {2, 3}, {3, 1}),
                          tensor(6, 0, {2, 3}, {4, 1}),
                          tensor(6, -1, {2, 3}, {3, 1}),
                          tensor(6, 0, {2, 3}, {-3, 1}),
                          tensor(6, 0, {-2, 3}, {3, 1}),
                          tensor(6, 0, {2}, {3, 1}),
                          tensor(6, 0, {huge, huge}, {0, 0}),
                          tensor(6, 0, {huge, 2}, {huge, huge}),
                          tensor(6, huge, {2}, {huge}),
                          tensor(6, huge, {0}, {1}),
                          tensor(7, 0, {2, 3}, {3, 1}),
                          tensor(huge, 0, {2, 3}, {3, 1}),
                          tensor(-1, 0, {2, 3}, {3, 1}),
                          tensor(6, 0, {1 << 30}, {0})}) {
    CHECK_THROWS_AS(parse_pickle(bad, storage), Error);
  }
}

TEST_CASE("nothing in a pickle is executed") {
  const PthFile file =
      parse_pickle("cposix\nsystem\n(" + text("touch /tmp/previt_was_here") + "tR.");
  CHECK(file.root->is(PickleValue::Kind::object));
  CHECK(file.root->text == "posix.system");
}

TEST_CASE("pickles that would take the machine down are refused") {
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "]";
  for (int i = 1; i < 100000; ++i) nested += "a";
  CHECK(parse_pickle(nested + ".").root->items.size() == 1);  // deep, and harmless
  CHECK_THROWS_WITH(pickle_to_json(*parse_pickle(nested + ".").root),
                    ContainsSubstring("nested too deeply"));

  CHECK_THROWS_WITH(parse_pickle(std::string(3'000'000, ']') + "."),
                    ContainsSubstring("too many values"));

  // A megabyte of name, called again and again: "h\0)R" makes a copy each time.
  std::string copies = "cposix\n" + std::string(1 << 20, 'n') + "\nq" + std::string(1, '\0');
  for (int i = 0; i < 10000; ++i) copies += std::string("h\0)R0", 5);
  CHECK_THROWS_WITH(parse_pickle(copies + "."), ContainsSubstring("too much memory"));

  const std::string circle = "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a.";
  CHECK_THROWS_AS(pickle_to_json(*parse_pickle(circle).root), Error);
  for (const char* broken :
       {".", "t.", "a.", "s.", "R.", "u.", "\x85.", "h\1.", "(", "Q.", "b.", "0."}) {
    CHECK_THROWS_AS(parse_pickle(broken), Error);
  }
}

TEST_CASE("a damaged or compressed archive says so") {
  std::string bytes = read_whole_file(kFixtures + "mae_pretrain_encoder_a.pth");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  CHECK_THROWS_WITH(parse_pth(bytes, "x.pth"), ContainsSubstring("is damaged"));
  bytes.resize(bytes.size() - 100);
  CHECK_THROWS_WITH(parse_pth(bytes, "x.pth"), ContainsSubstring("cut short"));
  CHECK_THROWS_WITH(parse_pth("<html>", "x.pth"),
                    ContainsSubstring("x.pth: not a file of torch.save"));
  CHECK_THROWS_AS(parse_pth("", "x.pth"), Error);
  CHECK_THROWS_WITH(parse_pth(write_zip({{"a", "b"}}), "x.pth"),
                    ContainsSubstring("has no data.pkl"));
}

}  // namespace previt
