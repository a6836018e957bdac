#include <torch/types.h>

#include "error.h"
#include "models/weights/safetensors.h"
#include "support/catch.h"

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
