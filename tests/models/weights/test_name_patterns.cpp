#include "models/weights/name_patterns.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("patterns of names take any text for * and any character for ?") {
  const NamePatterns patterns("reg_token, blocks.*.ls?.gamma,,");
  CHECK(patterns.fit("reg_token"));
  CHECK(patterns.fit("blocks.11.ls2.gamma"));
  CHECK_FALSE(patterns.fit("reg_tokens"));
  CHECK_FALSE(patterns.fit("blocks.0.ls12.gamma"));
  CHECK_FALSE(patterns.fit(""));
  CHECK_FALSE(NamePatterns("").fit("pos_embed"));
}

TEST_CASE("families of names have * for their numbers") {
  CHECK(families_of({"blocks.0.ls1.gamma", "blocks.11.ls1.gamma", "norm.weight"}) ==
        std::set<std::string>{"blocks.*.ls1.gamma", "norm.weight"});
}
