#include "pretrain/train/same_start.h"

#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "communicator.h"
#include "error.h"
#include "pretrain/train/resume_check.h"

namespace previt {
namespace {

bool may_differ(const std::string& key) { return key.starts_with("data."); }

// The first key that has another value in `first`; "" if there is none.
std::string differing(const Settings& own, const nlohmann::json& first) {
  for (const auto& [key, value] : own) {
    if (!may_differ(key) && first.value(key, "") != value) return key;
  }
  return "";
}

}  // namespace

void share_weights(const torch::nn::Module& module) {
  if (world().alone()) return;
  const torch::NoGradGuard no_grad;
  const auto share = [](const at::Tensor& tensor) {
    const at::Tensor whole = tensor.detach().contiguous();
    world().broadcast(whole);
    tensor.copy_(whole);
  };
  for (const auto& parameter : module.parameters()) share(parameter);
  for (const auto& buffer : module.buffers()) share(buffer);
}

void require_same_settings(const Settings& settings) {
  if (world().alone()) return;
  const auto first = nlohmann::json::parse(world().broadcast(settings_json(settings).dump()));
  const std::string key = differing(settings, first);
  const int64_t own = key.empty() ? world().size() : world().rank();
  // All ranks throw, the one at fault with its words.
  const at::Tensor faulty = torch::full({1}, -own, torch::kInt64);
  world().max(faulty);
  const int64_t rank = -faulty.item<int64_t>();
  if (rank == world().size()) return;
  if (rank != world().rank()) {
    fail_usage("rank {} has other settings than rank 0; give all the same", rank);
  }
  fail_usage("{}: is not what it is on rank 0, {}; give all processes the same",
             key,
             first.value(key, ""));
}

std::optional<Checkpoint> checkpoint_of_all_ranks(const std::string& run_folder) {
  if (world().alone()) return checkpoint_to_resume(run_folder);
  const Busy busy;
  std::optional<Checkpoint> saved;
  if (world().leads()) saved = checkpoint_to_resume(run_folder);
  const std::string folder = world().broadcast(saved ? saved->folder : "");
  if (folder.empty() || world().leads()) return saved;
  return load_checkpoint(folder);
}

}  // namespace previt
