#include "first_few.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("of many names the first five are said, and how many more there are") {
  CHECK(first_few({}).empty());
  CHECK(first_few({"a", "b"}) == "a, b");
  CHECK(first_few({"a", "b", "c", "d", "e"}) == "a, b, c, d, e");
  CHECK(first_few({"a", "b", "c", "d", "e", "f", "g"}) == "a, b, c, d, e and 2 more");
}
