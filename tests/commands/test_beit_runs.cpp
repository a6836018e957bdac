// From an image tokenizer to a classifier, through the commands; and BEiT's runs on tokens that
// are made once.
#include <csignal>
#include <filesystem>

#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "augment/open_tensor_file.h"
#include "commands/finetune.h"
#include "commands/pretrain.h"
#include "error.h"
#include "pretrain/objectives/beit.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"
#include "support/tokenizer_file.h"
#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/tensor_file.h"
#include "commands/cache_tokens.h"
#endif

using namespace previt;
using namespace previt::test;

namespace {

const std::string kRecipes = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/";
const std::string kImages = "synthetic:shapes,size=16,count=40,val=20";

// 4 x 4 patches of 4 pixels, an epoch of 5 steps.
const Words kSmall = {"--set",
                      "data.path=" + kImages,
                      "--set",
                      "model.image_size=[16]",
                      "--set",
                      "model.patch_size=4",
                      "--set",
                      "train.epochs=1",
                      "--set",
                      "train.batch=8",
                      "--set",
                      "train.precision=fp32",
                      "--set",
                      "schedule.warmup_epochs=0",
                      "--set",
                      "data.workers=1"};
const Words kNetwork = {
    "--set", "model.embed_dim=24", "--set", "model.depth=2", "--set", "model.num_heads=2"};
const Words kMasks = {
    "--set", "beit.masked_patches=6", "--set", "beit.block.min_patches=2", "--set", "knn.epochs=0"};

Words recipe(const std::string& name) { return Words{"--recipe", kRecipes + name} + kSmall; }

int pretrain(const Words& words, cli::Product product) {
  const auto args = parse(cli::pretrain_options(), words + Words{"--device", "cpu"});
  return cli::pretrain(args, "pretrain", product);
}

RunOptions small_run() {
  RunOptions run;
  run.train.precision = Precision::bf16;
  BeitOptions::set_defaults(run);
  run.model.embed_dim = 24;
  run.model.depth = 2;
  run.model.num_heads = 2;
  run.model.image_size = {16};
  run.model.patch_size = 4;
  run.schedule = {.kind = ScheduleKind::table, .warmup_epochs = 1};
  run.train.epochs = 2;
  run.train.batch = 8;
  run.train.micro_batch = 4;
  run.output.checkpoint_epochs = 1;
  return run;
}

// A signal comes with the batch `stop_at`, if not negative.
class StoppedSource final : public BatchSource {
 public:
  StoppedSource(std::unique_ptr<BatchSource> source, int64_t stop_at)
      : source_(std::move(source)), left_(stop_at) {}
  EpochPlan epoch_plan() const override { return source_->epoch_plan(); }
  void seek(int64_t epoch, int64_t batch) override { source_->seek(epoch, batch); }
  Batch next() override {
    if (left_-- == 0) std::raise(SIGTERM);
    return source_->next();
  }

 private:
  std::unique_ptr<BatchSource> source_;
  int64_t left_;
};

int train_beit(const std::string& tokenizer,
               const std::string& folder,
               bool resume,
               int64_t stop_at = -1) {
  const RunOptions run = small_run();
  BeitOptions options;
  options.beit.tokenizer = tokenizer;
  options.beit.masked_patches = 6;
  options.beit.block.min_patches = 2;
  torch::manual_seed(3);
  Beit beit(options, run);
  StoppedSource source(
      make_loader(open_dataset(kImages, Split::train),
                  beit.views(),
                  {.batch = run.train.micro(), .step = run.train.batch, .workers = 2, .seed = 5}),
      stop_at);
  return train(beit, source, run, folder, resume);
}

}  // namespace

TEST_CASE("a tokenizer is trained, BEiT pretrained on its tokens, fine-tuned and evaluated") {
  const TempFolder folder;
  const std::string tokenizer = folder.path() + "/tokenizer", beit = folder.path() + "/beit",
                    classifier = folder.path() + "/classifier", again = folder.path() + "/again";
  REQUIRE(pretrain(recipe("tokenizer.yaml") + Words{"--out", tokenizer}, cli::Product::tokenizer) ==
          0);
  REQUIRE(pretrain(recipe("beit.yaml") + kNetwork + kMasks +
                       Words{"--out", beit, "--set", "beit.tokenizer=" + tokenizer},
                   cli::Product::backbone) == 0);
  const auto finetune = [](const Words& more) {
    return cli::finetune(parse(cli::finetune_options(), more + Words{"--device", "cpu"}),
                         "finetune");
  };
  REQUIRE(
      finetune(
          Words{"--from", beit, "--recipe", kRecipes + "finetune_beit.yaml", "--out", classifier} +
          kSmall + kNetwork) == 0);
  REQUIRE(finetune({"--from", classifier, "--data", kImages, "--out", again, "--eval-only"}) == 0);
  CHECK(result_in(again)["images"] == 20);
  CHECK(result_in(again)["top1"] == result_in(classifier)["top1"]);
}

TEST_CASE("a BEiT run on a tokenizer's file, stopped and resumed, ends as an undisturbed one") {
  const TempFolder files, whole, stopped;
  const std::string tokenizer = write_tiny_tokenizer(files.path(), 16, 16, 4, 12);
  REQUIRE(train_beit(tokenizer, whole.path(), false) == 0);
  CHECK(train_beit(tokenizer, stopped.path(), false, 7) == 143);
  CHECK(train_beit(tokenizer, stopped.path(), true) == 0);
  CHECK(same_checkpoint(newest_checkpoint(whole.path()), newest_checkpoint(stopped.path())));
}

TEST_CASE("a BEiT run doesn't go on with another tokenizer in the place of the first") {
  const TempFolder files, run;
  const std::string tokenizer = write_tiny_tokenizer(files.path(), 16, 16, 4, 12);
  CHECK(train_beit(tokenizer, run.path(), false, 7) == 143);
  auto other = read_safetensors(tokenizer);
  for (auto& [name, tensor] : other.tensors) tensor = tensor * 1.5;
  write_safetensors(tokenizer, other.tensors, other.metadata);
  CHECK_THROWS_WITH(train_beit(tokenizer, run.path(), true),
                    ContainsSubstring("--resume: checksum of beit.tokenizer is "));
}

#ifdef PREVIT_WITH_IMAGE_IO
namespace {

// The pictures are always the same.
const Words kFixed = {
    "--set", "augment.crop=resize", "--set", "augment.flip=0", "--set", "augment.jitter=0"};

struct Fixed {
  explicit Fixed(const std::string& folder)
      : command(recipe("beit.yaml") + kNetwork + kMasks + kFixed +
                Words{"--set", "beit.tokenizer=" + write_tiny_tokenizer(folder, 8, 8, 2, 12)}),
        file(folder + "/tokens.h5") {}

  int cache(const Words& more = {}) const {
    Words cut = command + more + Words{"--out", file, "--device", "cpu"};
    return call(cli::cache_tokens_options(), cli::cache_tokens, cut);
  }
  int train(const std::string& out, const Words& more = {}) const {
    return pretrain(command + more + Words{"--out", out}, cli::Product::backbone);
  }

  Words command;
  std::string file;
};

}  // namespace

TEST_CASE("tokens that are made once train as those that are made for each batch") {
  const TempFolder folder;
  const Fixed fixed(folder.path());
  REQUIRE(fixed.cache() == 0);
  const auto file = open_tensor_file(fixed.file);
  CHECK(file->read("tokens").sizes() == at::IntArrayRef{40, 16});
  const std::string anew = folder.path() + "/anew", once = folder.path() + "/once";
  REQUIRE(fixed.train(anew) == 0);
  REQUIRE(fixed.train(once, {"--set", "beit.tokens=" + fixed.file}) == 0);
  CHECK(same_checkpoint(newest_checkpoint(anew), newest_checkpoint(once)));
  const auto loss = [](const std::string& run) {
    return nlohmann::json::parse(read_whole_file(run + "/metrics.jsonl"))["loss"];
  };
  CHECK(loss(once) == loss(anew));
}

TEST_CASE("a file whose tokens are called words, as they once were, is read") {
  const TempFolder folder;
  const Fixed fixed(folder.path());
  REQUIRE(fixed.cache() == 0);
  const auto file = open_tensor_file(fixed.file);
  const std::string old = folder.path() + "/words.h5";
  TensorFileWriter writer(old);
  writer.write("words", file->read("tokens"));
  writer.write("pixel_sums", file->read("pixel_sums"));
  for (const char* name : {"tokenizer", "views"}) writer.describe(name, file->description(name));
  writer.finish();
  CHECK(fixed.train(folder.path() + "/run", {"--set", "beit.tokens=" + old}) == 0);
}

TEST_CASE("tokens made otherwise, or for pictures that change, are refused") {
  const TempFolder folder;
  const Fixed fixed(folder.path());
  const auto refused = [&](const Words& more, const std::string& message) {
    const Words with = Words{"--set", "beit.tokens=" + fixed.file} + more;
    CHECK_THROWS_WITH(fixed.train(folder.path() + "/run", with), ContainsSubstring(message));
    std::filesystem::remove_all(folder.path() + "/run");
  };
  CHECK_THROWS_WITH(fixed.cache({"--set", "augment.flip=0.5"}),
                    ContainsSubstring("augment.flip: 0.5, but beit.tokens are of one picture"));
  REQUIRE(fixed.cache() == 0);
  refused({"--set", "augment.crop=random_resized"},
          "augment.crop: random_resized cuts other pictures each time");
  refused({"--set", "augment.crop=center"}, "was made with other views of the images");
  refused({"--set", "data.path=synthetic:shapes,size=16,count=40,seed=9"},
          "has tokens of other images");
  const std::string colours = "beit.tokenizer=colors:12";
  refused({"--set", colours}, "was made with another tokenizer");
  CHECK_THROWS_WITH(fixed.cache({"--set", "beit.tokens=" + fixed.file}),
                    ContainsSubstring("is what this command makes"));
}
#endif
