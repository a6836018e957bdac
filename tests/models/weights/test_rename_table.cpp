#include <torch/types.h>

#include "models/weights/naming.h"
#include "support/catch.h"
#include "support/same_tensors.h"

namespace previt {
namespace {

const RenameTable kBlock = {{"norm_a.*", "norm1.*"}, {"*", "*"}};
const RenameTable kTable =
    RenameTable{
        {"token", "cls_token"}, {"classifier.*", "head.*"}, {"new_classifier.*", "head.*"}} +
    kBlock.within("layer.#.", "blocks.#.");

NamedTensors attention(const std::string& start, int64_t width) {
  return {{start + "qkv.weight", torch::randn({3 * width, width})},
          {start + "proj.weight", torch::randn({width, width})}};
}

}  // namespace

TEST_CASE("names are renamed by the first row that fits, in both directions") {
  const auto [foreign, own] = GENERATE(table<std::string, std::string>({
      {"token", "cls_token"},
      {"token_of_another", "token_of_another"},
      {"a.token", "a.token"},
      {"classifier.weight", "head.weight"},
      {"layer.12.norm_a.bias", "blocks.12.norm1.bias"},
      {"layer.0.mlp.fc1.bias", "blocks.0.mlp.fc1.bias"},
      {"layer.x.norm_a.bias", "layer.x.norm_a.bias"},
      {"", ""},
  }));
  CHECK(kTable.to_own(foreign) == own);
  CHECK(kTable.to_foreign(own) == foreign);
}

TEST_CASE("of several foreign names all are read and the first is written") {
  CHECK(kTable.to_own("new_classifier.bias") == "head.bias");
  CHECK(kTable.to_foreign("head.bias") == "classifier.bias");
}

TEST_CASE("every step has an inverse, values included") {
  struct Step {
    TensorStep step;
    NamedTensors own;
    std::string foreign;  // a name that is there between the two
  };
  NamedTensors both = attention("blocks.0.attn.", 6);
  both.merge(attention("decoder_blocks.3.attn.", 4));
  NamedTensors biased = attention("blocks.0.attn.", 6);
  biased["blocks.0.attn.qkv.bias"] = torch::randn({18});
  NamedTensors beit = attention("blocks.0.attn.", 6);
  beit["blocks.0.attn.q_bias"] = torch::randn({6});
  beit["blocks.0.attn.v_bias"] = torch::randn({6});
  const NamedTensors swiglu = {{"blocks.0.mlp.w12.weight", torch::randn({16, 6})},
                               {"blocks.0.mlp.w12.bias", torch::randn({16})},
                               {"blocks.0.mlp.w3.weight", torch::randn({6, 8})},
                               {"norm.weight", torch::randn({6})}};
  const NamedTensors plain = {{"blocks.0.mlp.fc1.weight", torch::randn({16, 6})},
                              {"blocks.0.mlp.fc2.weight", torch::randn({6, 16})}};
  for (const Step& item : std::vector<Step>{
           {split_qkv(), both, "decoder_blocks.3.attn.key.weight"},
           {split_qkv(), biased, "blocks.0.attn.value.bias"},
           {split_qkv(), beit, "blocks.0.attn.query.bias"},
           {packed_swiglu(), swiglu, "blocks.0.mlp.fc1.bias"},
           {packed_swiglu(), plain, "blocks.0.mlp.fc1.weight"},
           {chunked_blocks(), plain, "blocks.0.mlp.fc1.weight"},
       }) {
    INFO(item.foreign);
    NamedTensors weights = item.own;
    item.step.to_foreign(weights);
    CHECK(weights.contains(item.foreign));
    item.step.to_own(weights, "file");
    check_same_tensors(weights, item.own);
  }
}

}  // namespace previt
