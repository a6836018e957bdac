#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/finetune.h"
#include "error.h"
#include "files.h"
#include "support/temp_folder.h"

namespace previt::test {

using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A ViT of two blocks that learns in a second, without RandAugment.
inline const Words kTiny = {
    "--set", "model.embed_dim=24",    "--set", "model.depth=2",
    "--set", "model.num_heads=3",     "--set", "model.image_size=[16]",
    "--set", "model.patch_size=8",    "--set", "train.batch=16",
    "--set", "train.epochs=2",        "--set", "schedule.warmup_epochs=0",
    "--set", "augment.rand_augment=", "--set", "data.workers=1"};
inline const std::string kData = "synthetic:shapes,size=16,count=50,val=30";

inline cli::po::variables_map parse(const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words).options(cli::finetune_options()).run(), args);
  cli::po::notify(args);
  return args;
}

/// The whole command; its exit code.
inline int finetune(const Words& words) { return cli::finetune(parse(words), "finetune"); }

inline nlohmann::json result_in(const std::string& folder) {
  return nlohmann::json::parse(read_whole_file(folder + "/result.json"));
}

/// Trains from random weights on kData into `out`, which it returns.
inline std::string trained(const std::string& out, const Words& more = {}) {
  const Words words = Words{"--from", "none", "--data", kData, "--out", out} + kTiny + more;
  require(finetune(words) == 0, "{}: the run failed", out);
  return out;
}

}  // namespace previt::test
