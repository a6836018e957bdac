#include "cli/main.h"

#include "commands/pretrain.h"

int main(int argc, char** argv) {
  using namespace previt;
  const std::string command = cli::command_line(argc, argv);
  return cli::run(
      argc,
      argv,
      "pretrain: trains a Vision Transformer from unlabelled images",
      cli::pretrain_options(),
      [&](const auto& args) { return cli::pretrain(args, command, cli::Product::backbone); });
}
