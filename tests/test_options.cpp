#include "augment/dataset/synthetic.h"
#include "error.h"
#include "nearest_word.h"
#include "options.h"
#include "support/catch.h"

using namespace previt;

namespace {

enum class Size { small, large };
constexpr auto enum_names(Size) { return std::array{"small", "large"}; }

}  // namespace

TEST_CASE("a name that is nearly right gets a suggestion, wherever names are given") {
  CHECK(enum_named<Size>("large", "--size") == Size::large);
  CHECK_THROWS_MATCHES(
      enum_named<Size>("smal", "--size"),
      UsageError,
      Catch::Message("--size: smal is not one of small, large; did you mean small?"));
  CHECK(nearest_word("mea", std::vector<std::string>{"dino", "mae"}) == "mae");  // two swapped
  CHECK_THROWS_WITH(enum_named<Size>("huge", "--size"), "--size: huge is not one of small, large");
  CHECK_THROWS_WITH(require_choice("men", {"cls", "mean"}, "--features"),
                    "--features: men is not one of cls, mean; did you mean mean?");
  CHECK_THROWS_MATCHES(
      parse_synthetic("shaps,size=64"),
      UsageError,
      Catch::Message(
          "synthetic: shaps is not one of shapes, species, flags; did you mean shapes?"));
}
