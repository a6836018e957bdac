#include "cli/main.h"

#include <torch/utils.h>

#include <memory>
#include <string>

#include "augment/encode_png.h"
#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "cli/device.h"
#include "cli/knn_score.h"
#include "cli/pretrain.h"
#include "log.h"
#include "pretrain/train/trainer.h"

namespace previt::cli {
namespace {

std::unique_ptr<BatchSource> open_data(const RunOptions& run,
                                       const Objective& objective,
                                       const std::string& folder) {
  const DataOptions& data = run.data;
  const LoaderOptions options{.batch = run.train.micro(),
                              .shuffle = true,
                              .drop_last = run.train.drop_last,
                              .workers = data.workers,
                              .prefetch = data.prefetch,
                              .seed = static_cast<uint64_t>(run.train.seed),
                              .max_bad_fraction = data.max_bad_fraction};
  auto images = open_dataset(data.path, "train", folder);
  info("{}: {} images", data.path, images->size());
  return make_loader(std::move(images), objective.views(), options, log_warning);
}

int body(const po::variables_map& args, const std::string& command) {
  const PretrainRun run = read_pretrain_run(args);
  if (args.count("print-recipe") != 0) {
    fmt::print("{}", run.resolved());
    return 0;
  }
  const RunOptions& options = run.options;
  const std::string folder = run_folder(args);
  const at::Device device = choose_device(args["device"].as<std::string>());
  if (options.train.threads > 0) at::set_num_threads(static_cast<int>(options.train.threads));
  torch::manual_seed(static_cast<uint64_t>(options.train.seed));
  const auto objective = run.build();
  objective->to(device);
  const auto source = open_data(options, *objective, folder);

  RunHooks hooks;
#ifdef PREVIT_WITH_IMAGE_IO
  hooks.encode_png = encode_png;
#endif
  hooks.evaluate = knn_score(run, *objective, folder);
  hooks.evaluate_epochs = run.knn.epochs;
  hooks.command = command;
  hooks.recipe = run.resolved();
  hooks.settings = run.settings();
  return train(*objective, *source, options, folder, args.count("resume") != 0, hooks);
}

}  // namespace
}  // namespace previt::cli

int main(int argc, char** argv) {
  using namespace previt;
  const std::string command = cli::command_line(argc, argv);
  return cli::run(argc,
                  argv,
                  "pretrain: trains a Vision Transformer from unlabelled images",
                  cli::pretrain_options(),
                  [&](const auto& args) { return cli::body(args, command); });
}
