#include <filesystem>

#include "commands/finetune.h"
#include "commands/pretrain.h"
#include "error.h"
#include "models/tokenizers/tokenizer.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kRecipes = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/";
const std::string kData = "synthetic:shapes,size=16,count=40";

int train_run(const std::string& recipe, const std::string& out, cli::Product product) {
  Words words = {"--recipe", kRecipes + recipe, "--data", kData, "--out", out, "--device", "cpu"};
  for (const char* change : {"model.image_size=[16]",
                             "model.patch_size=8",
                             "train.epochs=1",
                             "train.batch=8",
                             "data.workers=1",
                             "output.preview_images=2"}) {
    words.push_back("--set");
    words.push_back(change);
  }
  return cli::pretrain(parse(cli::pretrain_options(), words), "train_tokenizer", product);
}

}  // namespace

TEST_CASE("train_tokenizer leaves a run whose tokenizer can be read, and nothing else") {
  const TempFolder folder;
  const std::string out = folder.path() + "/run";
  REQUIRE(train_run("tokenizer.yaml", out, cli::Product::tokenizer) == 0);
  for (const char* name : {"recipe.yaml", "metrics.jsonl", "report.html"}) {
    CHECK(std::filesystem::exists(out + "/" + name));
  }
  const auto tokenizer = load_tokenizer(out);
  CHECK(tokenizer->tokens(torch::rand({2, 3, 16, 16})).sizes() == at::IntArrayRef{2, 4});

  const auto args = parse(cli::finetune_options(),
                          {"--from", out, "--data", kData, "--out", folder.path() + "/classifier"});
  CHECK_THROWS_WITH(cli::finetune(args, "finetune"),
                    ContainsSubstring("is an image tokenizer, not a backbone"));
}

TEST_CASE("pretrain and train_tokenizer refuse each other's recipes and name the right command") {
  const TempFolder folder;
  CHECK_THROWS_WITH(train_run("tokenizer.yaml", folder.path() + "/a", cli::Product::backbone),
                    ContainsSubstring("vqvae makes an image tokenizer; use train_tokenizer"));
  CHECK_THROWS_WITH(
      train_run("mae.yaml", folder.path() + "/b", cli::Product::tokenizer),
      ContainsSubstring("mae makes a backbone, not an image tokenizer; use pretrain"));
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/a"));
}
