#include <cmath>
#include <filesystem>

#include "error.h"
#include "models/weights/load_model.h"
#include "pretrain/pretrain_run.h"
#include "support/catch.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("the command line of finetune is frozen") {
  Words names;
  const auto options = cli::finetune_options();
  for (const auto& option : options.options()) names.push_back(option->long_name());
  CHECK(names == Words{"from",
                       "weights",
                       "allow",
                       "data",
                       "recipe",
                       "list-recipes",
                       "arch",
                       "out",
                       "set",
                       "device",
                       "eval-only",
                       "resume",
                       "print-recipe",
                       "nproc"});
}

TEST_CASE("fine-tuning leaves a run that evaluates, resumes and is fine-tuned again") {
  const TempFolder temp;
  const std::string out = trained(temp.path() + "/scratch");
  const auto result = result_in(out);
  CHECK(result["images"] == 30);
  CHECK(result["best_top1"] >= result["top1"]);
  CHECK(result["best_epoch"] >= 1);
  for (const char* file : {"recipe.yaml", "metrics.jsonl", "report.html", "best", "checkpoints"}) {
    INFO(file);
    CHECK(std::filesystem::exists(out + "/" + file));
  }
  CHECK(read_whole_file(out + "/report.html").find("Confusion matrix") != std::string::npos);

  SECTION("evaluation alone finds what the training found") {
    const std::string eval = temp.path() + "/eval";
    CHECK(finetune({"--from", out, "--eval-only", "--out", eval}) == 0);
    for (const char* key : {"top1", "top5", "images"}) CHECK(result_in(eval)[key] == result[key]);
    CHECK(result_in(eval)["loss"].get<double>() ==
          Approx(result["loss"].get<double>()).epsilon(1e-6));
  }
  SECTION("a finished run that is resumed has nothing to do and says the same") {
    std::filesystem::remove(out + "/result.json");
    CHECK(finetune(Words{"--from", "none", "--data", kData, "--out", out, "--resume"} + kTiny) ==
          0);
    CHECK(result_in(out) == result);
  }
  SECTION("another size and head start from its weights") {
    const auto args = parse({"--from", out, "--data", kData, "--set", "model.image_size=[32]"});
    cli::FinetuneJob job = cli::FinetuneJob::read(args);
    CHECK(job.run.options.model.embed_dim == 24);
    CHECK(job.run.augment.height == 32);
    job.open_data();
    const auto vit = job.build_model();
    CHECK(vit->pos_embed.size(1) == 17);
    CHECK(vit->forward(torch::zeros({1, 3, 32, 32})).abs().max().item<float>() <
          0.01);  // a new head
  }
  SECTION("other classes can't be evaluated by its head, other weights can't be loaded") {
    CHECK_THROWS_WITH(finetune({"--from", out, "--data", PREVIT_SOURCE_DIR, "--eval-only"}),
                      !ContainsSubstring("\n"));
    CHECK_THROWS_WITH(cli::FinetuneJob::read(
                          parse({"--from", out, "--data", kData, "--set", "model.embed_dim=48"})),
                      ContainsSubstring("model.embed_dim: 48, but "));
  }
}

TEST_CASE("what finetune is asked wrongly is a usage error of one line") {
  const auto refuse = [](const Words& words, const std::string& message) {
    CHECK_THROWS_MATCHES(cli::FinetuneJob::read(parse(words)), UsageError, Catch::Message(message));
  };
  refuse({"--from", "none"}, "--data: say which images to train on");
  refuse({"--from", "none", "--eval-only", "--data", kData},
         "--eval-only: needs a checkpoint, not --from none");
  refuse({"--from", "none", "--data", kData, "--set", "finetune.mixupp=1"},
         "--set finetune.mixupp=1: finetune.mixupp: unknown key; did you mean mixup?");
  refuse({"--from", "none", "--data", kData, "--set", "objective=mae"},
         "--set objective=mae: objective: mae is for pretraining; use pretrain");
  refuse({"--from", "none", "--data", kData, "--set", "objective=vqkd"},
         "--set objective=vqkd: objective: vqkd is for pretraining; use train_tokenizer");
  refuse({"--from", "none", "--data", kData, "--set", "objective=finetun"},
         "--set objective=finetun: objective: finetun is not finetune");
  refuse({"--from", "none", "--data", kData, "--set", "data.device_augment=true"},
         "--set data.device_augment=true: data.device_augment: is for pretraining; fine-tuning "
         "augments on the host");
  refuse({"--from", "none", "--data", kData, "--set", "train.micro_batch=auto"},
         "--set train.micro_batch=auto: train.micro_batch: auto is for pretraining; fine-tuning "
         "needs a number");
  refuse({"--from", "none", "--data", kData, "--set", "model.num_heads=7"},
         "--set model.num_heads=7: model.embed_dim: 768 is not a multiple of num_heads 7");
  refuse({"--from", "none", "--data", kData, "--set", "augment.height=99"},
         "--set augment.height=99: augment.height: 99 is not that of model.image_size, 224");
  CHECK_THROWS_AS(cli::FinetuneJob::read(parse({"--from", "/no/such/checkpoint", "--data", kData})),
                  Error);
}

TEST_CASE("random weights start as the recipe says") {
  const auto first_weights = [](const std::string& init) {
    cli::FinetuneJob job = cli::FinetuneJob::read(
        parse(Words{"--from", "none", "--data", kData, "--set", "finetune.init=" + init} + kTiny));
    return job.build_model()->named_parameters();
  };
  const auto framework = first_weights("framework"), timm = first_weights("timm");
  const double bound = 1 / std::sqrt(24.0);  // as torch.nn.Linear does
  for (const char* name : {"blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc1.bias"}) {
    INFO(name);
    const at::Tensor values = framework[name].detach().abs();
    CHECK(values.max().item<double>() < bound);
    CHECK(values.max().item<double>() > 0.9 * bound);
    CHECK(values.mean().item<double>() == Approx(bound / 2).epsilon(0.2));
  }
  CHECK(timm["blocks.0.mlp.fc1.bias"].abs().max().item<double>() == 0);
  CHECK(framework["cls_token"].std().item<double>() == Approx(0.02).epsilon(0.5));
}

TEST_CASE("every size of ViT gets its official settings") {
  const auto defaults = [](const char* arch, bool pretrained) {
    return finetune_defaults({.arch = arch}, pretrained).options;
  };
  CHECK(defaults("vit_base", true).optimizer.layer_decay == 0.65);
  CHECK(defaults("vit_large", true).optimizer.layer_decay == 0.75);
  CHECK(defaults("vit_huge", true).model.drop_path == 0.3);
  CHECK(defaults("vit_base", false).optimizer.layer_decay == 1);
  CHECK(defaults("vit_base", true).model.pool == Pooling::avg);
  CHECK(FinetuneOptions{}.crop_pct(224) == 0.875);
  CHECK(FinetuneOptions{}.crop_pct(384) == 1);
}
