#include "error.h"
#include "files.h"
#include "log.h"
#include "models/weights/misfits.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("what a file lacks or has left over is an error, unless a pattern names it") {
  const std::string allow = "reg_*, blocks.*.ls?.gamma";
  Misfits some("f.pth", &allow);
  CHECK(some.lacks("reg_token"));
  CHECK(some.left_over("blocks.3.ls1.gamma"));
  CHECK(some.other_shape("reg_token", {1, 2, 8}, {1, 4, 8}));
  CHECK_NOTHROW(some.require_none());
  CHECK_THROWS_WITH(some.other_shape("pos_embed", {1, 5, 8}, {1, 4, 8}),
                    "f.pth: pos_embed is [1, 5, 8], the model's is [1, 4, 8]; --allow 'pos_embed' "
                    "starts it anew");
  CHECK_FALSE(some.lacks("norm.weight"));
  CHECK_FALSE(some.left_over("blocks.0.attn.extra"));
  CHECK_FALSE(some.left_over("blocks.1.attn.extra"));
  CHECK_THROWS_WITH(some.require_none(),
                    "f.pth: lacks norm.weight of the model, and has blocks.*.attn.extra, for which "
                    "the model has no place; --allow 'blocks.*.attn.extra,norm.weight' goes on "
                    "without");

  Misfits none("f.pth", nullptr);  // nothing is said of an option that isn't there
  CHECK_FALSE(none.lacks("reg_token"));
  CHECK_THROWS_WITH(none.require_none(), "f.pth: lacks reg_token of the model");
}

TEST_CASE("a pattern that allows nothing is warned of") {
  const TempFolder folder;
  const std::string path = folder.path() + "/log.txt", allow = "reg_tokens,reg_token";
  Misfits misfits("f.pth", &allow);
  misfits.lacks("reg_token");
  log_to(path);
  misfits.warn_of_idle_patterns();
  const std::string log = read_whole_file(path);
  CHECK_THAT(log, ContainsSubstring("warning: --allow 'reg_tokens': nothing that f.pth lacks"));
  CHECK_THAT(log, !ContainsSubstring("'reg_token'"));
}
