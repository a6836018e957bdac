// What a run folder holds and a resume reads.
#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "fuzz/target.h"
#include "models/kernels/matmul_ways.h"
#include "models/weights/checkpoint.h"
#include "pretrain/train/comparison.h"
#include "pretrain/train/metrics_log.h"
#include "pretrain/train/resume_check.h"
#include "pretrain/train/run_outputs.h"
#include "pretrain/train/run_position.h"

namespace previt::fuzz {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A checkpoint that stays, and its files as they were.
struct Saved {
  Saved() {
    RunPosition at;
    at.averages.add("loss", 1.5, 4);
    Checkpoint checkpoint{.backbone = {{"a", torch::ones({3})}},
                          .training = {{"b", torch::ones({4})}},
                          .backbone_metadata = {},
                          .meta = at.save()};
    checkpoint.meta["samples"] = 20;
    checkpoint.meta["settings"] = {{"train.epochs", "3"}, {"model.arch", "vit_tiny"}};
    save_checkpoint(scratch() + "run", 1, checkpoint);
    folder = list_checkpoints(scratch() + "run").front() + "/";
    for (const char* name : {"backbone.safetensors", "training.safetensors", "meta.json"}) {
      files.emplace_back(name, read_whole_file(folder + name));
    }
    meta = load_checkpoint(folder).meta;
  }
  void restore() const {
    for (const auto& [name, bytes] : files) put(folder + name, bytes);
  }
  std::string folder;
  std::vector<std::pair<std::string, std::string>> files;
  json meta;
};

const Saved& saved() {
  static const Saved one;
  return one;
}

// The first byte says which file is damaged; what isn't refused is unharmed.
void load_damaged(const std::string& bytes) {
  saved().restore();
  const size_t which = bytes.empty() ? 0 : static_cast<unsigned char>(bytes[0]) % 3;
  put(saved().folder + saved().files[which].first, bytes.substr(std::min<size_t>(1, bytes.size())));
  if (load_checkpoint(saved().folder).meta != saved().meta) std::abort();
}

std::vector<std::string> checkpoint_files() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < 3; ++i) {
    seeds.push_back(static_cast<char>(i) + saved().files[i].second);
  }
  return seeds;
}

// As of another version of PreViT, or by hand: the checksum is right, the rest is not.
void resume_from(const std::string& text) {
  saved().restore();
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_object()) {
    document.erase("checksum");
    document["checksum"] =
        checksum_of(document.dump(-1, ' ', false, json::error_handler_t::replace));
  }
  put(saved().folder + "meta.json", document.dump(1, ' ', false, json::error_handler_t::replace));
  const json meta = load_checkpoint(saved().folder).meta;
  require_resumable(meta.value("settings", json()),
                    {{"train.epochs", "4"}, {"model.arch", "vit_tiny"}});
  matmul_ways().measure(true);
  keep_matmul_ways(meta);
  RunPosition().load(meta);
}

std::vector<std::string> metrics() {
  return {R"({"step":4,"epoch":1,"loss":1.25,"lr":1e-3,"top1":25.5}
{"step":8,"epoch":2,"loss":null,"lr":0.5,"top1":30}
)"};
}

const bool added[] = {
    add({.name = "checkpoint", .seeds = checkpoint_files, .parse = load_damaged, .inputs = 300}),
    add({.name = "checkpoint_meta",
         .seeds = [] { return std::vector{saved().files[2].second}; },
         .parse = resume_from,
         .inputs = 1500}),
    add({.name = "metrics",
         .seeds = metrics,
         .parse =
             [](const std::string& text) {
               MetricsLog log(put(scratch() + "metrics.jsonl", text), 8);
               log.write({.step = 9, .values = {{"loss", 1}}});
               ComparedRun run;
               run.lines = log.lines();
               comparison({run, run}).html();
             },
         .inputs = 1500,
         .refused = 0}),
    add({.name = "report_page",
         .seeds =
             [] {
               Report page("a title", "b");
               page.add_figure("loss", "1");
               page.add_figure("time", "2 s");
               page.add_text("Curves", "c");
               page.add_text("Settings", "d");
               return std::vector{page.html()};
             },
         .parse =
             [](const std::string& text) {
               Report page("a title", "b");
               page.add_figure("time", "3 s");
               page.add_text("Curves", "e");
               page.keep_from(text);
               page.html();
             },
         .inputs = 1500,
         .refused = 0}),
    add({.name = "previews",
         .seeds =
             [] {
               return std::vector<std::string>{R"({"epoch_1.png": "a caption", "b.png": ""})"};
             },
         .parse =
             [](const std::string& text) {
               const std::string run = scratch() + "outputs";
               fs::remove_all(run);  // each opening leaves another file of events
               fs::create_directories(run + "/previews");
               put(run + "/previews/epoch_1.png", "a picture");
               put(run + "/previews/newest.json", text);
               const RunRecord record;
               const TrainCallbacks callbacks;
               RunOutputs(run, record, callbacks, 1).write_report({});
             },
         .inputs = 300,
         .refused = 0}),
};

}  // namespace
}  // namespace previt::fuzz
