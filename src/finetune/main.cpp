// finetune: supervised training of a whole Vit for classification, or its evaluation.
#include "cli/main.h"

#include "commands/finetune.h"
#include "commands/pretrain.h"

int main(int argc, char** argv) {
  using namespace previt;
  const std::string command = cli::command_line(argc, argv);
  return cli::run(argc,
                  argv,
                  "finetune: trains a Vision Transformer to classify, pretrained or not",
                  cli::finetune_options(),
                  [&](const auto& args) { return cli::finetune(args, command); });
}
