#pragma once

#include <algorithm>
#include <string>

#include "commands/pretrain.h"
#include "support/command.h"
#include "support/test_device.h"

namespace previt::test {

/// The quickstart's MAE as a ViT of two blocks for images of 16 pixels, in fp32 on one thread. An
/// epoch of kScenes (16 steps) takes a moment.
inline const Words kTinyMae = {
    "--recipe", std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/mae.yaml",
    "--device", "cpu",
    "--set",    "model.image_size=[16]",
    "--set",    "model.patch_size=4",
    "--set",    "model.embed_dim=24",
    "--set",    "model.depth=2",
    "--set",    "mae.decoder.embed_dim=24",
    "--set",    "mae.decoder.depth=1",
    "--set",    "train.batch=8",
    "--set",    "train.precision=fp32",
    "--set",    "train.threads=1",
    "--set",    "schedule.warmup_epochs=0",
    "--set",    "data.workers=1",
    "--set",    "output.checkpoint_epochs=1",
    "--set",    "output.preview_images=0",
    "--set",    "knn.epochs=0"};
inline const std::string kScenes = "synthetic:shapes,size=16,count=128,val=20";

/// What makes a run give the same bits each time where tests compute; nothing on the CPU.
inline Words same_bits() {
  return device_option() == "cpu" ? Words{} : settings({"train.deterministic=true"});
}

/// kTinyMae where tests compute, with the same bits each time.
inline Words tiny_mae_on_device() {
  Words words = kTinyMae;
  *(std::find(words.begin(), words.end(), "--device") + 1) = device_option();
  return words + same_bits();
}

/// Runs the whole command and returns its exit code.
inline int pretrain(const Words& words) {
  return cli::pretrain(parse(cli::pretrain_options(), words), "pretrain", cli::Product::backbone);
}

}  // namespace previt::test
