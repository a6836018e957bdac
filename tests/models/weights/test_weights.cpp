#include "error.h"
#include "models/vit.h"
#include "models/weights/weights.h"
#include "support/catch.h"

using namespace previt;

namespace {

VitOptions tiny(const std::vector<int64_t>& image_size = {16}) {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 8;
  o.depth = 2;
  o.num_heads = 2;
  o.image_size = image_size;
  o.patch_size = 4;
  return o;
}

}  // namespace

TEST_CASE("weights are copied and names that do not agree are told") {
  const Vit from(tiny());
  Vit to(tiny());
  NamedTensors weights = named_tensors(from);
  weights.erase("cls_token");
  weights["norm.gain"] = torch::zeros({8});
  weights["norm.weight"] = torch::full({8}, 3, torch::kDouble);
  const auto report = load_into(to, weights);
  CHECK(report.missing == std::vector<std::string>{"cls_token"});
  CHECK(report.unexpected == std::vector<std::string>{"norm.gain"});
  CHECK(torch::equal(to.pos_embed, from.pos_embed));
  CHECK(to.named_parameters()["norm.weight"].scalar_type() == torch::kFloat);
  CHECK(to.named_parameters()["norm.weight"][0].item<double>() == 3);
}

TEST_CASE("a wrong shape stops loading before anything is copied") {
  const Vit from(tiny());
  Vit to(tiny());
  const at::Tensor before = to.cls_token.detach().clone();
  NamedTensors weights = named_tensors(from);
  weights["norm.weight"] = torch::ones({9});
  CHECK_THROWS_WITH(load_into(to, weights), "norm.weight: the weights are [9], the model has [8]");
  CHECK_THROWS_WITH(share_into(to, weights), "norm.weight: the weights are [9], the model has [8]");
  CHECK(torch::equal(to.cls_token, before));
}

TEST_CASE("position tables are fitted to the grid of the options") {
  const Vit square(tiny());
  const auto fitted = fit_positions(named_tensors(square), tiny({8, 24}));
  Vit wide(tiny({8, 24}));
  CHECK(load_into(wide, fitted).missing.empty());
  CHECK(torch::equal(wide.pos_embed, square.positions(2, 6)));

  SECTION("a table that is not square needs its grid") {
    CHECK_THROWS_WITH(fit_positions(fitted, tiny()),
                      ContainsSubstring("12 rows are not a square grid"));
    const at::Tensor back = fit_positions(fitted, tiny(), {2, 6}).at("pos_embed");
    CHECK(torch::equal(back, wide.positions(4, 4)));
    CHECK_THROWS_AS(fit_positions(fitted, tiny(), {5, 2}), Error);
  }
}

TEST_CASE("relative tables are fitted, cls rows kept") {
  VitOptions o = tiny({24});
  o.rel_pos_bias = RelPosBias::per_block;
  const at::Tensor table = torch::randn({7 * 7 + 3, 2});
  const std::string name = "rel_pos_bias.relative_position_bias_table";
  const auto fitted = fit_positions({{name, table}}, o);
  REQUIRE(fitted.size() == 2);
  const at::Tensor own = fitted.at("blocks.1.attn.relative_position_bias_table");
  CHECK(own.sizes() == torch::IntArrayRef({11 * 11 + 3, 2}));
  CHECK(torch::equal(own.slice(0, -3), table.slice(0, -3)));
  CHECK(torch::allclose(own[60], table[24]));  // no offset stays no offset
  CHECK_THROWS_AS(fit_positions({{name, torch::randn({20, 2})}}, o), Error);
}
