// train_tokenizer: trains the image tokenizer that masked token prediction needs.
#include "cli/main.h"
#include "commands/pretrain.h"

int main(int argc, char** argv) {
  using namespace previt;
  const std::string command = cli::command_line(argc, argv);
  return cli::run(
      argc,
      argv,
      "train_tokenizer: trains an image tokenizer from unlabelled images",
      cli::pretrain_options(cli::Product::tokenizer),
      [&](const auto& args) { return cli::pretrain(args, command, cli::Product::tokenizer); });
}
