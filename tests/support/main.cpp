#define CATCH_CONFIG_RUNNER
#include <torch/utils.h>

#include "cpu_level.h"
#include "support/catch.h"

// One thread: the tests are too small to gain from more, and on a busy machine the threads of
// several test programs would wait for each other.
int main(int argc, char** argv) {
  previt::limit_cpu_level_by_environment();
  torch::set_num_threads(1);
  return Catch::Session().run(argc, argv);
}
