#include "models/weights/name_patterns.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("patterns of names take any text for * and any character for ?") {
  const NamePatterns patterns("reg_token, blocks.*.ls?.gamma,,");
  using Found = std::vector<std::string>;
  CHECK(patterns.all() == Found{"reg_token", "blocks.*.ls?.gamma"});
  CHECK(patterns.fitting("reg_token") == Found{"reg_token"});
  CHECK(patterns.fitting("blocks.11.ls2.gamma") == Found{"blocks.*.ls?.gamma"});
  CHECK(NamePatterns("reg_*,*token").fitting("reg_token") == Found{"reg_*", "*token"});
  CHECK(patterns.fitting("reg_tokens").empty());
  CHECK(patterns.fitting("blocks.0.ls12.gamma").empty());
  CHECK(patterns.fitting("").empty());
  CHECK(NamePatterns("").fitting("pos_embed").empty());
}

TEST_CASE("families of names have * for their numbers") {
  CHECK(families_of({"blocks.0.ls1.gamma", "blocks.11.ls1.gamma", "norm.weight"}) ==
        std::set<std::string>{"blocks.*.ls1.gamma", "norm.weight"});
}
