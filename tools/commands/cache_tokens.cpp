#include "commands/cache_tokens.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "augment/io/tensor_file.h"
#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "cli/device.h"
#include "cli/main.h"
#include "clocks.h"
#include "commands/pretrain.h"
#include "error.h"
#include "finetune/probes/features.h"
#include "json_text.h"
#include "log.h"
#include "pretrain/objectives/beit.h"
#include "pretrain/token_cache.h"
#include "progress.h"

namespace previt::cli {
namespace {

std::shared_ptr<Beit> build(const PretrainRun& run) {
  for (const auto& [key, value] : run.settings()) {
    if (key == "beit.tokens" && !value.empty()) {
      fail_usage("beit.tokens: {}: is what this command makes; leave it out here", value);
    }
  }
  auto beit = std::dynamic_pointer_cast<Beit>(run.build());
  if (!beit) fail_usage("objective: {} takes no tokens; only beit does", run.options.objective);
  return beit;
}

// By sample: tokens int64 [N, L], pixel_sums int64 [N]; -1 where the image can't be read, so that
// it is in no batch.
struct CachedTokens {
  at::Tensor tokens, pixel_sums;
  int64_t images = 0;
};

CachedTokens make_tokens(Beit& beit,
                         const RunOptions& run,
                         BatchSource& source,
                         at::Device device) {
  const torch::NoGradGuard no_grad;
  const int64_t samples = source.samples_per_epoch();
  CachedTokens made{.tokens = torch::full({samples, run.model.num_patches()}, -1, torch::kInt64),
                    .pixel_sums = torch::full({samples}, -1, torch::kInt64)};
  at::Tensor seen = torch::zeros({samples}, torch::kBool);
  Progress progress;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < source.batches_per_epoch(); ++i) {
    const Batch batch = to_device(source.next(), beit.views(), run.normalize, device);
    made.images += first_seen_rows(batch.indices, seen).size(0);
    made.tokens.index_copy_(0, batch.indices, beit.targets().tokens_of(batch).cpu());
    made.pixel_sums.index_copy_(0, batch.indices, pixel_sums(beit.targets().pictures_of(batch)));
    progress.update({.step = made.images,
                     .total_steps = samples,
                     .images_per_second = static_cast<double>(made.images) / seconds_since(start),
                     .task = "tokens"});
  }
  return made;
}

}  // namespace

po::options_description cache_tokens_options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("recipe", po::value<std::string>()->required(), "YAML file of the BEiT run");
  add("data", po::value<std::string>(), "its images; instead of data.path");
  add("out", po::value<std::string>()->required(), "HDF5 file, for beit.tokens");
  add("set",
      po::value<std::vector<std::string>>()->composing(),
      "key.path=value on top of the recipe; may be given again");
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu, cuda or cuda:N");
  return options;
}

int cache_tokens(const po::variables_map& args) {
  const PretrainRun run = read_pretrain_run(args);
  const RunOptions& options = run.options;
  const at::Device device = choose_device(args["device"].as<std::string>());
  const auto beit = build(run);
  const TokenCacheKey key = beit->targets().cache_key();
  const auto out = args["out"].as<std::string>();
  const auto source = make_loader(open_dataset(options.data.path, Split::train),
                                  beit->views(),
                                  {.batch = options.train.micro(),
                                   .shuffle = false,
                                   .drop_last = false,
                                   .workers = options.data.workers,
                                   .max_bad_fraction = options.data.max_bad_fraction},
                                  log_warning);
  TensorFileWriter file(out);
  const CachedTokens made = make_tokens(*beit, options, *source, device);
  file.write("tokens", made.tokens);
  file.write("pixel_sums", made.pixel_sums);
  file.describe("tokenizer", key.tokenizer);
  file.describe("views", key.views);
  file.finish();
  const nlohmann::ordered_json line = {
      {"images", made.images}, {"tokens", made.tokens.size(1)}, {"out", out}};
  print(json_text(line) + "\n");
  return 0;
}

}  // namespace previt::cli
