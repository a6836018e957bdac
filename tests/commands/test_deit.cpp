#include <filesystem>
#include <sstream>

#include "finetune/model.h"
#include "models/weights/checkpoint.h"
#include "support/catch.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace {

// DeiT's parts on the tiny network: repeated augmentation, averaged weights, drop path, mixing.
const Words kDeit = {"--set",
                     "model.pool=cls",
                     "--set",
                     "finetune.repeated_augmentation=3",
                     "--set",
                     "finetune.init=timm",
                     "--set",
                     "finetune.head_std=0.02",
                     "--set",
                     "train.ema_decay=0.9",
                     "--set",
                     "output.checkpoint_epochs=1",
                     "--set",
                     "optimizer.base_lr=0.05"};

Words distilled_from(const std::string& teacher, const std::string& kind = "hard") {
  return {"--set",
          "model.dist_token=true",
          "--set",
          "distillation.kind=" + kind,
          "--set",
          "distillation.teacher=" + teacher};
}

Checkpoint latest(const std::string& run) {
  std::vector<std::string> warnings;
  return load_latest(run, warnings);
}

bool same(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.contains(item.first) && torch::equal(item.second, b.at(item.first));
         });
}

nlohmann::json last_line(const std::string& run) {
  std::istringstream text(read_whole_file(run + "/metrics.jsonl"));
  std::string line, last;
  while (std::getline(text, line)) last = line;
  return nlohmann::json::parse(last);
}

}  // namespace

TEST_CASE("a distilled student is trained, evaluated, found again and fine-tuned further") {
  const std::string kind = GENERATE(as<std::string>(), "hard", "soft");
  const TempFolder temp;
  const std::string teacher = trained(temp.path() + "/teacher");
  const std::string student =
      trained(temp.path() + "/student", kDeit + distilled_from(teacher, kind));
  for (const char* key : {"label_loss", "distillation_loss", "top1"}) {
    INFO(key);
    CHECK(last_line(student).contains(key));
  }

  // What evaluation saw is the mean of both heads, with the averaged weights that are kept.
  const std::string eval = temp.path() + "/eval";
  CHECK(finetune({"--from", student, "--eval-only", "--out", eval}) == 0);
  const auto result = result_in(student), again = result_in(eval);
  CHECK(again["top1"] == result["top1"]);
  CHECK(again["loss"].get<double>() == Approx(result["loss"].get<double>()).epsilon(1e-5));
  const LoadedModel model = load_model(student);
  CHECK(model.options.dist_token);
  CHECK(model.weights.contains("head_dist.weight"));
  const auto vit = vit_from_checkpoint(model, model.options, {.keep = true});
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const auto logits = vit->head_logits(images);
  CHECK(torch::allclose(vit->forward(images), (logits[0] + logits[1]) / 2));
  CHECK(latest(student).training.contains("objective.vit.head_dist.weight"));

  // At a higher resolution with the heads kept, as DeiT at 384; its teacher is the student itself.
  cli::FinetuneJob job = cli::FinetuneJob::read(
      parse(Words{"--from", student, "--data", kData, "--set", "model.image_size=[32]"} +
            Words{"--set", "finetune.keep_head=true"} + distilled_from(student)));
  job.open_data();
  const auto larger = job.build_model();
  CHECK(larger->pos_embed.size(1) == 2 + 16);
  CHECK(torch::equal(larger->named_parameters()["head_dist.weight"],
                     model.weights.at("head_dist.weight")));
  CHECK(job.load_distillation(at::kCPU) != nullptr);
}

TEST_CASE("the averaged weights are what is evaluated and exported, in a resumed run too") {
  const TempFolder temp;
  const std::string out = trained(temp.path() + "/run", kDeit);
  const Checkpoint saved = latest(out);
  const at::Tensor average = saved.backbone.at("blocks.0.mlp.fc1.weight"),
                   weight = saved.training.at("objective.vit.blocks.0.mlp.fc1.weight");
  CHECK((average - weight).abs().max().item<double>() > 1e-4);

  const auto result = result_in(out);
  const std::string eval = temp.path() + "/eval";
  CHECK(finetune({"--from", out, "--eval-only", "--out", eval}) == 0);
  CHECK(result_in(eval)["loss"].get<double>() ==
        Approx(result["loss"].get<double>()).epsilon(1e-5));
  std::filesystem::remove(out + "/result.json");
  trained(out, kDeit + Words{"--resume"});
  CHECK(result_in(out) == result);
}

TEST_CASE("a killed distilled run with repeated augmentation and averages resumes bit for bit") {
  const TempFolder temp;
  const std::string teacher = trained(temp.path() + "/teacher");
  const Words words = kDeit + distilled_from(teacher) + Words{"--set", "train.micro_batch=8"};
  const std::string whole = trained(temp.path() + "/whole", words),
                    killed = trained(temp.path() + "/killed", words);
  std::filesystem::remove_all(list_checkpoints(killed).front());  // back at the first epoch's end
  trained(killed, words + Words{"--resume"});
  const Checkpoint a = latest(whole), b = latest(killed);
  CHECK(a.meta.at("step") == b.meta.at("step"));
  CHECK(same(a.backbone, b.backbone));
  CHECK(same(a.training, b.training));
  CHECK(result_in(whole) == result_in(killed));
}

TEST_CASE("an undistilled checkpoint may become a student") {
  const TempFolder temp;
  const std::string teacher = trained(temp.path() + "/teacher", kDeit);
  const std::string out = temp.path() + "/student";
  CHECK(finetune(Words{"--from", teacher, "--data", kData, "--out", out} + kTiny +
                 distilled_from(teacher)) == 0);
  CHECK(load_model(out).options.dist_token);
}

TEST_CASE("what distillation is asked wrongly is one line that says where") {
  const auto refuse = [](const Words& words, const std::string& message) {
    CHECK_THROWS_MATCHES(
        cli::FinetuneJob::read(parse(Words{"--from", "none", "--data", kData} + kTiny + words)),
        UsageError,
        Catch::Message(message));
  };
  const Words kind = {"--set", "distillation.kind=hard"};
  refuse(kind,
         "--set distillation.kind=hard: distillation.teacher: empty; say which checkpoint teaches");
  refuse(kind + Words{"--set", "distillation.teacher=x"},
         "--set distillation.kind=hard: distillation.kind: hard needs model.dist_token: true");
  refuse({"--set", "distillation.kind=hrad"},
         "--set distillation.kind=hrad: distillation.kind: hrad is not one of none, hard, soft; "
         "did you mean hard?");
  refuse({"--set", "distillation.alpha=1.5"},
         "--set distillation.alpha=1.5: distillation.alpha: 1.5 is not in [0, 1]");
  refuse({"--set", "finetune.keep_head=true"},
         "--set finetune.keep_head=true: finetune.keep_head: random weights have no head to keep");

  const TempFolder temp;
  const std::string teacher = trained(temp.path() + "/teacher");
  CHECK_THROWS_WITH(trained(temp.path() + "/student", kDeit + distilled_from(teacher + "/nothing")),
                    ContainsSubstring("nothing: no such file or folder"));
}
