// predict: the class of each image and its probability, as CSV.
#include "commands/predict.h"

#include <iostream>

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "predict: writes the class of each image and its probability, as CSV",
                  cli::predict_options(),
                  [](const auto& args) { return cli::predict(args, std::cout); });
}
