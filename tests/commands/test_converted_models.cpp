// Commands give the same numbers on a converted folder as on the run.
#include <filesystem>
#include <sstream>

#include "commands/export_run.h"
#include "commands/knn_probe.h"
#include "commands/predict.h"
#include "error.h"
#include "files.h"
#include "models/weights/checkpoint.h"
#include "models/weights/load_model.h"
#include "support/catch.h"
#include "support/convert_command.h"
#include "support/finetune_command.h"
#include "support/noise_png.h"
#include "support/pretrain_command.h"
#include "support/same_tensors.h"
#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/tensor_file.h"
#include "commands/embed.h"
#endif

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

nlohmann::json neighbours(const std::string& from, const std::string& out) {
  const Words words = {"--from", from, "--data", kData, "--out", out, "--workers", "1"};
  REQUIRE(call(cli::knn_probe_options(), cli::knn_probe, words + Words{"--device", "cpu"}) == 0);
  return result_in(out);
}

std::string predictions(const std::string& from, const std::string& images) {
  std::ostringstream out;
  const Words words = {"--from", from, "--images", images, "--device", "cpu"};
  REQUIRE(cli::predict(parse(cli::predict_options(), words), out) == 0);
  return out.str();
}

}  // namespace

// Normalisation, crop and class order are others than any format's usual ones.
TEST_CASE("a converted classifier predicts, embeds and is probed as its run", "[convert]") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run",
                                  settings({"model.pool=cls",
                                            "normalize.mean=[0.2,0.3,0.4]",
                                            "normalize.std=[0.3,0.2,0.1]",
                                            "finetune.eval_crop_pct=0.8"}));
  const auto wanted = neighbours(run, temp.path() + "/probe");
#ifdef PREVIT_WITH_IMAGE_IO
  const std::string images = temp.path() + "/images", h5 = temp.path() + "/features.h5";
  fs::create_directories(images);
  for (int i = 0; i < 3; ++i) write_noise_png(fmt::format("{}/{}.png", images, i), 20 + i, 24);
  const std::string classes = predictions(run, images);
  const auto features = [&](const std::string& from) {
    const Words words = {"--from", from, "--images", images, "--out", h5, "--device", "cpu"};
    REQUIRE(call(cli::embed_options(), cli::embed, words) == 0);
    return TensorFileReader(h5).read("features");
  };
  const at::Tensor embedded = features(run);
#endif
  for (const std::string format : {"hf", "timm", "official"}) {
    INFO(format);
    const std::string to = temp.path() + "/" + format;
    REQUIRE(convert(run, to, format) == 0);
    CHECK(neighbours(to, temp.path() + "/probe") == wanted);
#ifdef PREVIT_WITH_IMAGE_IO
    CHECK(predictions(to, images) == classes);
    CHECK(features(to).equal(embedded));
#endif
  }
}

TEST_CASE("output.export leaves a folder at the end of a run, or says at once that it can't",
          "[convert]") {
  const TempFolder temp;
  const std::string run = temp.path() + "/run", refused = temp.path() + "/refused";
  const Words hf = settings({"model.pool=cls", "output.export=hf"});
  trained(run, hf);
  const auto weights = [&](const std::string& folder) { return load_model(folder).weights; };
  check_same_tensors(weights(run + "/hf"), weights(run + "/best"));
  REQUIRE(finetune(from_scratch(kData, run) + hf + settings({"train.epochs=3"}) +
                   Words{"--resume"}) == 0);
  check_same_tensors(weights(run + "/hf"), weights(run + "/best"));
  const std::string best = fs::path(list_checkpoints(run + "/best").front()).filename();
  CHECK_THAT(read_whole_file(run + "/hf/README.md"),
             ContainsSubstring("| checkpoint | best/checkpoints/" + best + " |"));
  fs::remove_all(run + "/best");  // as where nothing was evaluated
  fs::remove_all(run + "/hf");
  REQUIRE(finetune(from_scratch(kData, run) + hf + settings({"train.epochs=3"}) +
                   Words{"--resume"}) == 0);
  check_same_tensors(weights(run + "/hf"), weights(run));
  CHECK_THROWS_WITH(trained(refused, settings({"model.pool=avg", "output.export=hf"})),
                    ContainsSubstring("output.export: hugging_face: ViT takes the class token"));
  CHECK_FALSE(fs::exists(refused + "/metrics.jsonl"));
}

TEST_CASE("a network is laid out for output.export only where something is exported") {
  int asked = 0;
  const auto model = [&]() -> LoadedModel {
    ++asked;
    fail("no such network");
  };
  RunOptions run;
  cli::require_exportable(run, model);
  CHECK(asked == 0);
  run.output.export_format = ExportFormat::timm;
  CHECK_THROWS_WITH(cli::require_exportable(run, model), "no such network");
}

TEST_CASE("a pretraining run exports its method's parts, and a tokenizer nothing", "[convert]") {
  const TempFolder temp;
  const std::string run = temp.path() + "/run";
  const Words hf = settings({"output.export=hf", "train.epochs=1"});
  REQUIRE(pretrain(kTinyMae + Words{"--data", kScenes, "--out", run} + hf) == 0);
  const LoadedModel exported = load_model(run + "/hf");
  check_same_tensors(exported.weights, load_model(run).weights);
  CHECK(exported.extra.contains("decoder_pred.weight"));
  const Words tokenizer = {"--recipe",
                           PREVIT_SOURCE_DIR "/recipes/quickstart/tokenizer.yaml",
                           "--device",
                           "cpu",
                           "--out",
                           temp.path() + "/tokenizer"};
  const auto args = parse(cli::pretrain_options(), tokenizer + hf);
  CHECK_THROWS_WITH(cli::pretrain(args, "train_tokenizer", cli::Product::tokenizer),
                    ContainsSubstring("output.export: hf has no such image tokenizer"));
}
