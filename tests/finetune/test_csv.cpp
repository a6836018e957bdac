#include "finetune/csv.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("CSV fields are quoted only where they must be") {
  CHECK(csv_field("photos/cat 1.jpg") == "photos/cat 1.jpg");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("say \"hi\"") == "\"say \"\"hi\"\"\"");
  CHECK(csv_field("two\nlines") == "\"two\nlines\"");
  CHECK(csv_field("") == "");
}
