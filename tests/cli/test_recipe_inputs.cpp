// What a recipe names and isn't there is told by the recipe's line, with what to do about it.
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("images, tokenizer or teacher of a recipe that aren't there are told by its line") {
  const TempFolder temp;
  const std::string recipe = temp.path() + "/r.yaml", gone = temp.path() + "/gone";
  const auto refuse = [&](const std::string& text, int line, const std::string& rest) {
    write_whole_file(recipe, text);
    const Words words = {"--recipe", recipe, "--out", temp.path() + "/run", "--device", "cpu"};
    CHECK_THROWS_MATCHES(
        pretrain(words), UsageError, Catch::Message(fmt::format("{}:{}: {}", recipe, line, rest)));
  };
  const std::string missing = ": " + gone + ": there is no such file or folder; ";
  refuse("objective: mae\ndata:\n  path: " + gone,
         3,
         "data.path" + missing + "--data PATH names your images");
  refuse("objective: beit\nbeit: {tokenizer: " + gone + "}",
         2,
         "beit.tokenizer" + missing +
             "train it first with train_tokenizer, or --set beit.tokenizer=RUN");
  refuse(
      "objective: vqkd\nvqkd: {teacher: " + gone + "}",
      2,
      "vqkd.teacher" + missing + "train it first with pretrain, or --set vqkd.teacher=CHECKPOINT");

  write_whole_file(recipe, "objective: mae\ndata:\n  path: " + gone);
  const std::string named = temp.path() + "/named";
  CHECK_THROWS_WITH(pretrain({"--recipe", recipe, "--out", temp.path() + "/run", "--data", named}),
                    named + ": there is no such file or folder");
}
