#define CATCH_CONFIG_RUNNER
#include <torch/utils.h>

#include "support/catch.h"

// One thread: tests are too small for more to pay, and several teams on a busy machine wait for
// each other.
int main(int argc, char** argv) {
  torch::set_num_threads(1);
  return Catch::Session().run(argc, argv);
}
