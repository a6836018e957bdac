#include <torch/types.h>

#include "error.h"
#include "models/weights/safetensors.h"
#include "models/weights/tensor_steps.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/zip_writer.h"

using namespace previt;

namespace {

std::string file_of(const std::string& header, size_t data) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());  // of less than 128 bytes
  return bytes + header + std::string(data, '\1');
}

}  // namespace

TEST_CASE("tensors take no more memory than the file has bytes") {
  const std::string first = R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)";
  const std::string again = R"("b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})";
  const std::string none = R"("b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})";
  CHECK_THROWS_WITH(parse_safetensors(file_of(first + again, 8), "x"),
                    "x: b: claims more data than the file holds");
  const auto file = parse_safetensors(file_of(first + none, 8), "x");
  CHECK(file.tensors.at("a").equal(torch::ones({8}, torch::kByte)));
  CHECK(file.tensors.at("b").numel() == 0);
  const std::string wider = R"({"a":{"dtype":"F64","shape":[9],"data_offsets":[0,8]}})";
  CHECK_THROWS_WITH(parse_safetensors(file_of(wider, 8), "x"),
                    "x: a: shape and number of bytes disagree");
}

TEST_CASE("query, key and value of a file are joined without a copy, where they are alike") {
  const TempFolder folder;
  const std::string path = folder.path() + "/x.safetensors";
  const std::string attention = "blocks.0.attn.", wider = "blocks.1.attn.";
  NamedTensors written;
  for (const char* part : {"query", "key", "value"}) {
    for (const std::string& block : {attention, wider}) {
      written[block + part + ".weight"] = torch::randn({4, 3});
      written[block + part + ".bias"] = torch::randn({4});
    }
  }
  written[wider + "key.weight"] = torch::randn({4, 3}).to(torch::kHalf);
  write_safetensors(path, written);
  const NamedTensors read = read_safetensors(path).tensors;
  for (const auto& [name, tensor] : written) CHECK(read.at(name).equal(tensor));

  NamedTensors joined = read;
  split_qkv().to_own(joined, "x");
  for (const std::string& block : {attention, wider}) {
    for (const std::string kind : {"weight", "bias"}) {
      const at::Tensor& qkv = joined.at(block + "qkv." + kind);
      const auto part = [&](const char* name) { return read.at(block + name + "." + kind); };
      CHECK(qkv.equal(torch::cat({part("query"), part("key"), part("value")})));
      CHECK(qkv.is_contiguous());
      CHECK(qkv.is_alias_of(part("query")) == (block == attention || kind == "bias"));
    }
  }
}

TEST_CASE("a header of lists in lists is refused as a whole") {
  const std::string shape = std::string(100, '[') + std::string(100, ']');
  const std::string header =
      R"({"a":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,8]}})";
  const std::string bytes = little_endian(header.size(), 8) + header + std::string(8, '\1');
  CHECK_THROWS_WITH(parse_safetensors(bytes, "x"), "x: damaged header");
}

TEST_CASE("an attention without all its parts takes no more memory than they do") {
  const std::string header = R"({"a.query.w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})";
  const auto file = parse_safetensors(file_of(header, 8), "x");
  CHECK(file.tensors.at("a.query.w").storage().nbytes() == 8);
}
