#include <sys/resource.h>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "error.h"
#include "files.h"
#include "models/weights/checkpoint.h"
#include "pretrain/train/checkpoint_keeper.h"
#include "support/catch.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"

namespace previt {
using test::step_folder;

namespace {
namespace fs = std::filesystem;

Checkpoint example(double value) {
  Checkpoint checkpoint;
  checkpoint.backbone = {{"norm.weight", torch::full({3}, value)}, {"empty", torch::empty({0, 2})}};
  checkpoint.training = {{"optimizer.step", torch::full({}, 7, torch::kLong)},
                         {"ema.norm.weight", torch::full({64, 64}, value).to(torch::kBFloat16)}};
  checkpoint.backbone_metadata = {{"arch", "{}"}};
  checkpoint.meta = {{"epoch", 1.5}, {"rng", "0123"}};
  return checkpoint;
}

void flip_bit(const std::string& path, uint64_t offset) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ 4);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
}

// The next writes fail as on a full disk, without one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : previous_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    rlimit limit = previous_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_{};
  void (*previous_handler_)(int);
};

size_t entries(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("the checksum is XXH64") {
  CHECK(checksum_of("") == "ef46db3751d8e999");
  CHECK(checksum_of("abc") == "44bc2cf5ad770999");
  CHECK(checksum_of("Nobody inspects the spammish repetition") == "fbcea83c8a378bf1");
  std::string text;
  for (int i = 0; i < 101; ++i) text.push_back(static_cast<char>(i));
  Checksum pieces;
  for (size_t begin = 0; begin < text.size(); begin += 7) {
    pieces.update(text.data() + begin, std::min<size_t>(7, text.size() - begin));
  }
  CHECK(pieces.hex() == checksum_of(text));
}

TEST_CASE("a checkpoint comes back as it was saved") {
  const TempFolder run;
  save_checkpoint(run.path(), 1234, example(0.25));
  REQUIRE(fs::is_directory(step_folder(run.path(), 1234)));
  const Checkpoint back = load_checkpoint(step_folder(run.path(), 1234));
  CHECK(torch::equal(back.backbone.at("norm.weight"), torch::full({3}, 0.25)));
  CHECK(back.backbone.at("empty").sizes() == at::IntArrayRef({0, 2}));
  CHECK(back.training.at("ema.norm.weight").scalar_type() == torch::kBFloat16);
  CHECK(back.training.at("optimizer.step").item<int64_t>() == 7);
  CHECK(back.backbone_metadata == std::map<std::string, std::string>{{"arch", "{}"}});
  CHECK(back.meta == nlohmann::json({{"epoch", 1.5}, {"rng", "0123"}, {"step", 1234}}));
}

TEST_CASE("damage is found, named, and the checkpoint before is used") {
  const TempFolder run;
  save_checkpoint(run.path(), 5, example(5));
  save_checkpoint(run.path(), 10, example(10));
  const std::string newest = step_folder(run.path(), 10);
  const std::string file =
      newest + "/" +
      GENERATE(as<std::string>(), "backbone.safetensors", "training.safetensors", "meta.json");
  const std::string damage = GENERATE(as<std::string>(), "cut", "bit", "missing", "empty");
  INFO(damage << " " << file);
  if (damage == "cut") fs::resize_file(file, fs::file_size(file) - 1);
  if (damage == "bit") flip_bit(file, fs::file_size(file) / 2);
  if (damage == "missing") fs::remove(file);
  if (damage == "empty") fs::resize_file(file, 0);

  CHECK_THROWS_WITH(load_checkpoint(newest), ContainsSubstring(file));
  std::vector<std::string> warnings;
  const Checkpoint used = load_latest(run.path(), warnings);
  CHECK(used.meta.at("step") == 5);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring(file));

  fs::remove_all(step_folder(run.path(), 5));
  CHECK_THROWS_WITH(load_latest(run.path(), warnings),
                    ContainsSubstring("none of its checkpoints can be used (" + newest) &&
                        Catch::Matchers::EndsWith("); start anew with another --out"));
  CHECK(warnings.size() == 1);
}

TEST_CASE("a meta.json of lists in lists is damage like any other") {
  const TempFolder run;
  save_checkpoint(run.path(), 5, example(5));
  save_checkpoint(run.path(), 10, example(10));
  const std::string path = step_folder(run.path(), 10) + "/meta.json";
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  write_whole_file(path, R"({"checksum": "x", "z": )" + deep + "}");
  std::vector<std::string> warnings;
  CHECK(load_latest(run.path(), warnings).meta.at("step") == 5);
  CHECK(warnings == std::vector{path + ": damaged; the checkpoint before is used"});
}

TEST_CASE("every flipped bit of meta.json that changes its meaning is found") {
  const TempFolder run;
  save_checkpoint(run.path(), 5, example(5));
  const std::string path = step_folder(run.path(), 5) + "/meta.json";
  const std::string good = read_whole_file(path);
  const auto meta = load_checkpoint(step_folder(run.path(), 5)).meta;
  for (uint64_t offset = 0; offset < good.size(); ++offset) {
    flip_bit(path, offset);
    try {
      const auto read = load_checkpoint(step_folder(run.path(), 5)).meta;
      CHECK(read == meta);  // white space was hit
    } catch (const Error&) {
    }
    flip_bit(path, offset);
  }
  CHECK(read_whole_file(path) == good);
}

TEST_CASE("a full disk leaves the last checkpoint whole and nothing else") {
  const TempFolder run;
  save_checkpoint(run.path(), 5, example(5));
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_WITH(
        save_checkpoint(run.path(), 10, example(10)),
        ContainsSubstring("step_00000010: not saved") && ContainsSubstring("File too large"));
  }
  CHECK(entries(fs::path(run.path()) / "checkpoints") == 1);
  std::vector<std::string> warnings;
  CHECK(load_latest(run.path(), warnings).meta.at("step") == 5);
  CHECK(warnings.empty());
}

TEST_CASE("what an interrupted save left is removed by the next one") {
  const TempFolder run;
  fs::create_directories(run.path() + "/checkpoints/.tmp_step_00000003");
  write_whole_file(run.path() + "/checkpoints/.tmp_step_00000003/backbone.safetensors", "half");
  CHECK(list_checkpoints(run.path()).empty());
  save_checkpoint(run.path(), 5, example(5));
  CHECK(entries(fs::path(run.path()) / "checkpoints") == 1);
}

TEST_CASE("saving the same step again replaces it") {
  const TempFolder run;
  save_checkpoint(run.path(), 5, example(1));
  save_checkpoint(run.path(), 5, example(2));
  CHECK(entries(fs::path(run.path()) / "checkpoints") == 1);
  std::vector<std::string> warnings;
  CHECK(load_latest(run.path(), warnings).backbone.at("norm.weight")[0].item<double>() == 2);
}

TEST_CASE("checkpoints are listed by step and pruned") {
  const TempFolder run;
  for (const int64_t step : {100, 20, 30, 123456789, 40})
    save_checkpoint(run.path(), step, example(1));
  fs::create_directory(run.path() + "/checkpoints/best");
  CHECK(list_checkpoints(run.path()) == std::vector<std::string>{step_folder(run.path(), 123456789),
                                                                 step_folder(run.path(), 100),
                                                                 step_folder(run.path(), 40),
                                                                 step_folder(run.path(), 30),
                                                                 step_folder(run.path(), 20)});
  prune_checkpoints(run.path(), {.newest = 123456789, .last = 2, .every_steps = 20});
  CHECK(list_checkpoints(run.path()) == std::vector<std::string>{step_folder(run.path(), 123456789),
                                                                 step_folder(run.path(), 100),
                                                                 step_folder(run.path(), 40),
                                                                 step_folder(run.path(), 20)});
  prune_checkpoints(run.path(), {.newest = 123456789, .last = 0});
  CHECK(list_checkpoints(run.path()).size() == 1);
  CHECK(fs::exists(run.path() + "/checkpoints/best"));
}

TEST_CASE("what lies after the checkpoint that a run went on from takes no place of new ones") {
  const TempFolder run;
  for (const int64_t step : {96, 300}) save_checkpoint(run.path(), step, example(1));
  flip_bit(step_folder(run.path(), 300) + "/training.safetensors", 1000);
  CHECK(newest_undoubted(run.path(), 200) == step_folder(run.path(), 96));
  OutputOptions options;
  options.keep_last = 1;
  CheckpointKeeper keeper(run.path(), options, 10);
  keeper.save(104, example(2), /*last=*/false);
  CHECK(list_checkpoints(run.path()) ==
        std::vector<std::string>{step_folder(run.path(), 104), step_folder(run.path(), 96)});
  keeper.step_was_good();
  CHECK(list_checkpoints(run.path()) == std::vector<std::string>{step_folder(run.path(), 104)});
}

TEST_CASE("the best checkpoint pushes out those of steps that a resume has undone") {
  const TempFolder run;
  const CheckpointKeeper keeper(run.path(), {}, 10);
  for (const int64_t step : {180, 120}) keeper.save_best(step, example(1));
  CHECK(list_checkpoints(run.path() + "/best") ==
        std::vector<std::string>{step_folder(run.path() + "/best", 120)});
}

TEST_CASE("a run without checkpoints says so") {
  const TempFolder run;
  std::vector<std::string> warnings;
  CHECK_THROWS_WITH(load_latest(run.path(), warnings), ContainsSubstring("has no checkpoint"));
  CHECK_THROWS_AS(load_checkpoint(run.path() + "/nowhere"), Error);
}

}  // namespace previt
