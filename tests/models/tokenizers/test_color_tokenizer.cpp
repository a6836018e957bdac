#include <torch/types.h>

#include "error.h"
#include "models/tokenizers/color_tokenizer.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a colour tokenizer names the mean colour of a cell") {
  ColorTokenizer tokenizer(30, {4, 4}, {2, 2}, 3);  // three levels a channel
  at::Tensor picture = torch::zeros({1, 3, 4, 4});
  picture.slice(3, 2).fill_(1);                         // right half white
  picture[0][0].slice(0, 2).slice(1, 0, 2).fill_(0.5);  // lower left: half red
  CHECK(torch::equal(tokenizer.tokens(picture), torch::tensor({{0, 26, 9, 26}})));
  CHECK(tokenizer.vocab_size() == 30);
  ColorTokenizer many(8192, {4, 4}, {2, 2}, 3);  // 20 levels
  CHECK(many.tokens(torch::ones({1, 3, 4, 4})).max().item<int64_t>() == 7999);
  CHECK_THROWS_WITH(ColorTokenizer(7, {4, 4}, {2, 2}, 3), ContainsSubstring("colors:7"));
  CHECK_THROWS_AS(tokenizer.tokens(torch::zeros({1, 3, 8, 8})), Error);
}
