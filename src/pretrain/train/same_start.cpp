#include "pretrain/train/same_start.h"

#include <torch/types.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "error.h"
#include "failure.h"
#include "pretrain/train/checkpoint_keeper.h"
#include "pretrain/train/resume_check.h"

namespace previt {
namespace {

bool may_differ(const std::string& key) { return key.starts_with("data."); }

void require_like(const nlohmann::json& first, const Settings& own) {
  for (const auto& [key, value] : own) {
    const std::string wanted = first.value(key, "");
    if (may_differ(key) || value == wanted) continue;
    fail_usage("{}: is {} on rank {}, but {} on rank 0; give all processes the same",
               key,
               value,
               world().rank(),
               wanted);
  }
}

}  // namespace

void share_weights(const torch::nn::Module& module, int64_t from, Communicator& all) {
  if (all.alone()) return;
  const torch::NoGradGuard no_grad;
  const auto share = [&](const at::Tensor& tensor) {
    const at::Tensor whole = tensor.detach().contiguous();
    all.broadcast(whole, from);
    tensor.copy_(whole);
  };
  for (const auto& parameter : module.parameters()) share(parameter);
  for (const auto& buffer : module.buffers()) share(buffer);
}

void require_same_settings(const Settings& settings) {
  if (world().alone()) return;
  const auto first = nlohmann::json::parse(world().broadcast(settings_json(settings).dump()));
  do_on_all_ranks([&] { require_like(first, settings); });
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

double best_of_all_ranks(const std::string& run_folder) {
  const Busy busy;
  double score = -std::numeric_limits<double>::infinity();
  if (world().leads()) {
    if (const auto saved = saved_best(run_folder)) score = saved->score;
  }
  const at::Tensor of_first = torch::full({1}, score, torch::kFloat64);
  world().broadcast(of_first);
  return of_first.item<double>();
}

}  // namespace previt
