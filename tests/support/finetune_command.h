#pragma once

#include <string>

#include "commands/finetune.h"
#include "error.h"
#include "support/command.h"
#include "support/temp_folder.h"

namespace previt::test {

/// Settings of a ViT of two blocks that learns in a second, without RandAugment.
inline const Words kTiny = {"--set", "model.embed_dim=24",    "--set", "model.depth=2",
                            "--set", "model.num_heads=3",     "--set", "model.image_size=[16]",
                            "--set", "model.patch_size=8",    "--set", "train.batch=16",
                            "--set", "train.epochs=2",        "--set", "schedule.warmup_epochs=0",
                            "--set", "augment.rand_augment=", "--set", "data.workers=1"};
inline const std::string kData = "synthetic:shapes,size=16,count=50,val=30";

inline cli::po::variables_map parse(const Words& words) {
  return parse(cli::finetune_options(), words);
}

/// Runs the whole command and returns its exit code.
inline int finetune(const Words& words) { return cli::finetune(parse(words), "finetune"); }

/// The words of a training from random weights.
inline Words from_scratch(const std::string& data, const std::string& out) {
  return Words{"--from", "none", "--data", data, "--out", out} + kTiny;
}

/// Trains from random weights on kData into `out`, which it returns.
inline std::string trained(const std::string& out, const Words& more = {}) {
  require(finetune(from_scratch(kData, out) + more) == 0, "{}: the run failed", out);
  return out;
}

}  // namespace previt::test
